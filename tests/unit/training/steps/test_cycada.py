from __future__ import annotations

import pytest
import torch
from support.tiny_step import (
    UPDATED,
    assert_each_optimizer_updates_its_own_networks_only,
    images_per_network,
    run_step,
)
from support.tiny_trial import make_batch, make_spec, make_state
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.training.steps.cycada import cycada_step, semantic_term, update_semantic_gate
from adaptune.training.steps.generators import translate


@pytest.mark.parametrize("classifier", ["lenet", "dtn"])
def test_each_optimizer_steps_while_only_its_own_networks_have_gradients(classifier: str) -> None:
    spec = make_spec(size=32, classifier=classifier, feature_gate=0.0)
    assert_each_optimizer_updates_its_own_networks_only(spec, UPDATED)


def test_terms_are_detached_unweighted_and_complete() -> None:
    terms = {}
    for scale in (1, 7):
        weights = {"adversarial": scale, "cycle": scale, "identity": scale}
        spec = make_spec(loss_weights=weights)
        state = make_state(spec)
        terms[scale] = run_step(state, make_batch(spec, state))
    assert set(terms[1]) == {
        "adversarial",
        "cycle",
        "identity",
        "semantic",
        "discriminator",
        "task",
        "information",
        "feature",
        "feature_discriminator",
        "feature_gate",
    }
    assert not any(value.requires_grad or value.dim() for value in terms[1].values())
    for name in ("adversarial", "cycle", "identity"):
        assert torch.equal(terms[1][name], terms[7][name])


@pytest.mark.parametrize(
    ("weights", "network", "rows"),
    [
        ({}, "g_st", 12),
        ({"identity": 0}, "g_st", 8),
        ({"cycle": 0}, "g_ts", 8),
        ({"cycle": 0, "identity": 0}, "g_ts", 4),
        ({}, "d_t", 12),
        ({"adversarial": 0}, "d_t", 0),
        ({"adversarial": 0}, "d_s", 0),
        ({}, "f_s", 8),
        ({"semantic": 0}, "f_s", 0),
        ({}, "d_feat", 12),
        ({"feature": 0}, "d_feat", 0),
        ({"feature": 0}, "f_t", 8),
        ({"information": 0}, "f_t", 8),
        ({"feature": 0, "information": 0}, "f_t", 4),
        ({"feature": 0, "information": 0, "confusion": 1}, "f_t", 8),
        ({"feature": 0, "information": 0, "consistency": 1}, "f_t", 8),
        ({"consistency": 1, "confusion": 1}, "f_t", 12),
        ({"adversarial": 0, "cycle": 0, "identity": 0, "semantic": 0}, "g_st", 0),
    ],
)
def test_a_weight_of_0_skips_the_forward_passes(
    weights: dict[str, float], network: str, rows: int
) -> None:
    spec = make_spec(loss_weights=weights, classifier_ema_decay=0.9)
    assert images_per_network(spec)[network] == rows


def test_the_semantic_term_reaches_both_generators() -> None:
    spec = make_spec(loss_weights={"adversarial": 0, "cycle": 0, "identity": 0})
    state = make_state(spec)
    slopes: list[float] = []

    def remember(*_: object) -> None:
        for generator in (state.networks.g_st, state.networks.g_ts):
            gradients = [p.grad for p in generator.parameters() if p.grad is not None]
            slopes.append(sum(float(gradient.abs().sum()) for gradient in gradients))

    state.optimizers.generators.register_step_pre_hook(remember)
    assert "adversarial" not in run_step(state, make_batch(spec, state))
    assert len(slopes) == 2
    assert min(slopes) > 0


def test_the_semantic_term_is_the_cross_entropy_of_f_s_in_both_directions() -> None:
    spec = make_spec()
    state = make_state(spec)
    batch = make_batch(spec, state)
    images = translate(state, batch, cycle=False, identity=False)
    f_s = state.networks.f_s
    expected = 0.0
    for original, translated in (
        (batch.source, images.source_translated),
        (batch.target, images.target_translated),
    ):
        labels = f_s(original).argmax(dim=1)
        expected += float(F.cross_entropy(f_s(translated), labels).detach())
    assert float(semantic_term(state, batch, images).detach()) == pytest.approx(expected)


def test_the_semantic_gate_opens_on_the_unweighted_task_term_and_stays_open() -> None:
    spec = make_spec(semantic_gate=100.0, loss_weights={"task": 1000})
    state = make_state(spec)
    assert cycada_step([state], make_batch(spec, state))[0]["semantic"] == 0
    assert state.semantic_open == 1
    assert cycada_step([state], make_batch(spec, state, 1))[0]["semantic"] > 0

    strict_spec = make_spec(semantic_gate=1e-9)
    strict = make_state(strict_spec)
    cycada_step([strict], make_batch(strict_spec, strict))
    assert strict.semantic_open == 0
    strict.semantic_open.fill_(1)
    cycada_step([strict], make_batch(strict_spec, strict))
    assert strict.semantic_open == 1


@pytest.mark.parametrize(("task", "is_open"), [(0.51, 0), (0.5, 1), (0.49, 1)])
def test_the_semantic_gate_opens_at_its_threshold(task: float, is_open: int) -> None:
    state = make_state(make_spec(semantic_gate=0.5))
    update_semantic_gate(state, torch.tensor(task))
    assert state.semantic_open == is_open


def test_without_a_semantic_gate_the_term_is_on_at_once() -> None:
    spec = make_spec()
    state = make_state(spec)
    assert cycada_step([state], make_batch(spec, state))[0]["semantic"] > 0


def test_without_a_term_for_the_generators_f_t_is_trained_on_source_images() -> None:
    off = dict.fromkeys(["adversarial", "cycle", "identity", "semantic"], 0.0)
    spec = make_spec(loss_weights=off)
    state = make_state(spec)
    batch = make_batch(spec, state)
    with torch.no_grad():
        logits = state.networks.f_t(torch.cat([batch.source, batch.target]))[:4]
        expected = F.cross_entropy(logits, batch.source_labels)
    torch.testing.assert_close(run_step(state, batch)["task"], expected)
