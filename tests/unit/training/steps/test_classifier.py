from __future__ import annotations

import pytest
import torch
from support.tiny_step import images_per_network, run_step
from support.tiny_trial import make_batch, make_spec, make_state
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.losses.confusion import confusion_loss
from adaptune.losses.information import information_loss
from adaptune.training.augment.fourier import fourier_adapted
from adaptune.training.steps.classifier import (
    adaptation_phase,
    feature_discriminator_step,
    task_phase,
)
from adaptune.training.steps.cycada import cycada_step

Weights = dict[str, torch.Tensor]


def f_t_after_a_step(gate: float, feature: float) -> tuple[Weights, Weights]:
    spec = make_spec(feature_gate=gate, loss_weights={"feature": feature, "information": 0.3})
    state = make_state(spec)
    [terms] = cycada_step([state], make_batch(spec, state))
    return terms, state.networks.f_t.state_dict()


def test_a_closed_feature_gate_contributes_nothing() -> None:
    terms, closed = f_t_after_a_step(gate=1.0, feature=100.0)
    _, without = f_t_after_a_step(gate=1.0, feature=0.0)
    assert terms["feature_gate"] == 0
    assert terms["feature"] == 0
    assert terms["feature_discriminator"] > 0
    for name, value in closed.items():
        assert torch.equal(value, without[name])


def test_an_open_feature_gate_changes_f_t() -> None:
    terms, opened = f_t_after_a_step(gate=0.0, feature=100.0)
    _, without = f_t_after_a_step(gate=0.0, feature=0.0)
    assert terms["feature_gate"] == 1
    assert terms["feature"] > 0
    assert any(not torch.equal(value, without[name]) for name, value in opened.items())


def test_the_gate_is_open_if_the_accuracy_of_d_feat_exceeds_it() -> None:
    # D_feat cannot tell equal logits apart, so its accuracy is one half.
    logits = torch.zeros(4, 3)
    for gate, is_open in ((0.49, 1), (0.5, 0)):
        state = make_state(make_spec(feature_gate=gate))
        terms = feature_discriminator_step(state, logits, logits)
        assert terms["feature_gate"] == is_open


def test_the_terms_of_an_update_are_those_of_its_networks() -> None:
    spec = make_spec(feature_gate=0.0, confusion_temperature=1.5, loss_weights={"confusion": 1.0})
    state = make_state(spec)
    batch = make_batch(spec, state)
    translated = -batch.source
    with torch.no_grad():
        translated_logits = state.networks.f_t(translated)
        target_logits = state.networks.f_t(batch.target)
        task = F.cross_entropy(translated_logits, batch.source_labels)
        domains = state.networks.d_feat(torch.cat([translated_logits, target_logits]))
        domain_labels = torch.tensor([1] * 4 + [0] * 4)
        feature_discriminator = F.cross_entropy(domains, domain_labels)
    terms = adaptation_phase(state, batch, translated)
    torch.testing.assert_close(terms["task"].detach(), task)
    torch.testing.assert_close(terms["information"].detach(), information_loss(target_logits))
    torch.testing.assert_close(terms["confusion"].detach(), confusion_loss(target_logits, 1.5))
    torch.testing.assert_close(terms["feature_discriminator"], feature_discriminator)
    # f_T minimises the loss of D_feat after its update, with flipped labels.
    with torch.no_grad():
        flipped = F.cross_entropy(state.networks.d_feat(target_logits), torch.ones(4).long())
    torch.testing.assert_close(terms["feature"].detach(), flipped)


@pytest.mark.parametrize("name", ["confusion", "consistency"])
def test_a_term_of_target_images_trains_f_t_by_its_weight(name: str) -> None:
    updated = []
    for weight in (0.0, 1.0, 5.0):
        weights = {"feature": 0.0, "information": 0.0, name: weight}
        spec = make_spec(
            loss_weights=weights, classifier_ema_decay=0.9, consistency={"threshold": 0.0}
        )
        state = make_state(spec)
        assert (name in run_step(state, make_batch(spec, state))) == (weight > 0)
        updated.append(torch.cat([p.flatten() for p in state.networks.f_t.parameters()]))
    assert not torch.equal(updated[0], updated[1])
    assert not torch.equal(updated[1], updated[2])


def test_the_task_phase_updates_f_t_only() -> None:
    spec = make_spec(method="cyclegan")
    state = make_state(spec)
    batch = make_batch(spec, state)
    before = {name: value.clone() for name, value in state.networks.f_t.state_dict().items()}
    translated = batch.source.clone().requires_grad_()
    terms = task_phase(state, batch, translated)
    assert list(terms) == ["task"]
    assert translated.grad is None  # the generators learn nothing from the task
    after = state.networks.f_t.state_dict()
    assert any(not torch.equal(value, after[name]) for name, value in before.items())


def test_f_t_on_both_domains_in_one_call_equals_two_calls() -> None:
    state = make_state(make_spec())
    f_t = state.networks.f_t.double().train()
    source, target = torch.randn(2, 4, 1, 16, 16, dtype=torch.float64)
    together = f_t(torch.cat([source, target]))
    apart = torch.cat([f_t(source), f_t(target)])
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_the_task_on_both_is_the_mean_over_translated_and_source_images(method: str) -> None:
    spec = make_spec(method=method, task_images="both")
    state = make_state(spec)
    batch = make_batch(spec, state)
    f_t = state.networks.f_t.train()
    labels = batch.source_labels
    with torch.no_grad():  # f_T is trained on the translations before the generators' update
        translated = state.networks.g_st(batch.source)
        source_task = F.cross_entropy(f_t(batch.source), labels)
        translated_task = F.cross_entropy(f_t(translated), labels)
    expected = (source_task + translated_task) / 2
    torch.testing.assert_close(run_step(state, batch)["task"], expected)


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_f_t_learns_the_labels_from_images_in_the_colours_of_the_target(method: str) -> None:
    spec = make_spec(method=method, task_images="both", fourier_beta=0.1)
    state = make_state(spec)
    batch = make_batch(spec, state)
    seen: list[Tensor] = []
    state.networks.f_t.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        translated = state.networks.g_st(batch.source)
    run_step(state, batch)
    target = batch.target
    expected = [fourier_adapted(images, target, 0.1) for images in (translated, batch.source)]
    torch.testing.assert_close(seen[0][:8], torch.cat(expected))
    if method == "cycada":
        assert torch.equal(seen[0][8:], target)


@pytest.mark.parametrize(("method", "rows"), [("cycada", 12), ("cyclegan", 8)])
def test_source_images_are_for_the_task_and_not_for_d_feat(method: str, rows: int) -> None:
    both = images_per_network(make_spec(method=method, task_images="both"))
    translated = images_per_network(make_spec(method=method))
    assert both["f_t"] == rows
    assert both["d_feat"] == translated["d_feat"]


def test_augmentation_depends_on_the_step() -> None:
    spec = make_spec(method="cyclegan", augment={"shift": 0.3})
    terms = []
    for step in (0, 0, 1):
        state = make_state(spec)
        state.step = step
        batch = make_batch(spec, state)
        terms.append(task_phase(state, batch, batch.source)["task"].item())
    assert terms[0] == terms[1]
    assert terms[0] != terms[2]


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_the_task_on_the_target_is_the_cross_entropy_of_labelled_target_images(method: str) -> None:
    weights = {"task_target": 1.0}
    if method == "cyclegan":
        weights["information"] = 0.0
    spec = make_spec(method=method, train_labels=2, loss_weights=weights)
    state = make_state(spec)
    batch = make_batch(spec, state)
    assert batch.labelled_target is not None
    assert batch.labelled_target_labels is not None
    with torch.no_grad():
        logits = state.networks.f_t(batch.labelled_target)
    expected = F.cross_entropy(logits, batch.labelled_target_labels)
    torch.testing.assert_close(run_step(state, batch)["task_target"], expected)


def test_without_their_term_labelled_target_images_are_not_read() -> None:
    spec = make_spec(train_labels=2)
    assert images_per_network(spec)["f_t"] == images_per_network(make_spec())["f_t"]
    state = make_state(spec)
    assert "task_target" not in run_step(state, make_batch(spec, state))


def test_the_task_on_the_target_has_its_own_weight() -> None:
    updated = []
    for weight in (1.0, 5.0):
        spec = make_spec(train_labels=2, loss_weights={"task_target": weight})
        state = make_state(spec)
        adaptation_phase(state, make_batch(spec, state), make_batch(spec, state).source)
        updated.append(torch.cat([p.flatten() for p in state.networks.f_t.parameters()]))
    assert not torch.equal(*updated)
