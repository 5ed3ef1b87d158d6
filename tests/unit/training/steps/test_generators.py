"""What one update may touch, and what it computes: for both methods."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from support.tiny_trial import make_batch, make_spec, make_state
from torch import nn
from torch.nn import functional as F  # noqa: N812

from adaptune.losses.classification import semantic_loss
from adaptune.training.state import TRAINED, TrainingState
from adaptune.training.steps.cycada import cycada_step
from adaptune.training.steps.cyclegan import cyclegan_step
from adaptune.training.steps.generators import (
    LossTerms,
    cyclegan_terms,
    discriminator_phase,
    translate,
)

STEPS = {"cycada": cycada_step, "cyclegan": cyclegan_step}
OWN = {
    "generators": {"g_source_to_target", "g_target_to_source"},
    "discriminators": {"d_source", "d_target"},
    "f_target": {"f_target"},
    "d_feature": {"d_feature"},
}


class Constant(nn.Module):
    """A discriminator with the same logit for everything."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logit.expand(len(x), 1, 4, 4)


class Brightness(nn.Module):
    """A perfect discriminator where real images are bright: 1 for them, 0 for dark ones."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.mean(dim=(1, 2, 3)) > 0).float() + 0 * x.mean()


def networks_with_gradients(state: TrainingState) -> set[str]:
    names = (*TRAINED, "f_source")
    return {
        n for n in names if any(p.grad is not None for p in getattr(state.networks, n).parameters())
    }


def snapshot(state: TrainingState, name: str) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in getattr(state.networks, name).state_dict().items()}


def run(state: TrainingState, batch: Any) -> LossTerms:
    state.networks.f_target.train()
    return STEPS[state.spec.method](state, batch)


@pytest.mark.parametrize("classifier", ["lenet", "dtn"])
@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_each_optimizer_steps_while_only_its_own_networks_have_gradients(
    method: str, classifier: str
) -> None:
    spec = make_spec(method=method, size=32, classifier=classifier, feature_gate=0.0)
    state = make_state(spec)
    seen: dict[str, set[str]] = {}

    def note(name: str) -> Any:
        return lambda *_: seen.__setitem__(name, networks_with_gradients(state))

    for name in OWN:
        getattr(state.optimizers, name).register_step_pre_hook(note(name))
    before = {name: snapshot(state, name) for name in (*TRAINED, "f_source")}
    run(state, make_batch(spec, state))

    expected = (
        OWN if method == "cycada" else {name: OWN[name] for name in OWN if name != "d_feature"}
    )
    assert seen == expected
    assert networks_with_gradients(state) == set()
    assert not state.networks.f_source.training
    changed = {
        name
        for name, old in before.items()
        if any(not torch.equal(old[k], v) for k, v in snapshot(state, name).items())
    }
    assert changed == set().union(*expected.values())
    assert all(
        p.requires_grad for name in TRAINED for p in getattr(state.networks, name).parameters()
    )
    assert not any(p.requires_grad for p in state.networks.f_source.parameters())


def test_semantic_term_reaches_both_generators() -> None:
    spec = make_spec(loss_weights={"adversarial": 0, "cycle": 0, "identity": 0})
    state = make_state(spec)
    slopes: dict[str, float] = {}

    def note(*_: Any) -> None:
        for name in OWN["generators"]:
            grads = [
                p.grad for p in getattr(state.networks, name).parameters() if p.grad is not None
            ]
            slopes[name] = sum(float(grad.abs().sum()) for grad in grads)

    state.optimizers.generators.register_step_pre_hook(note)
    assert "adversarial" not in run(state, make_batch(spec, state))
    assert min(slopes[name] for name in OWN["generators"]) > 0


def test_identity_generators_lose_nothing_but_semantics() -> None:
    spec = make_spec()
    state = make_state(spec)
    state.networks.g_source_to_target = nn.Identity()
    state.networks.g_target_to_source = nn.Identity()
    batch = make_batch(spec, state)
    images = translate(state, batch, cycle=True, identity=True)
    terms = cyclegan_terms(state, batch, images)
    assert terms["cycle"] == 0
    assert terms["identity"] == 0

    f_source = state.networks.f_source
    logits = f_source(batch.source)
    assert torch.equal(batch.semantic_source, logits.argmax(dim=1))
    assert semantic_loss(f_source(images.target), batch.semantic_source) == F.cross_entropy(
        logits, logits.argmax(dim=1)
    )
    assert semantic_loss(f_source(images.target), batch.semantic_source) > 0


def test_lsgan_terms_of_undecided_discriminators() -> None:
    spec = make_spec(loss_weights={"cycle": 0, "identity": 0})
    state = make_state(spec)
    state.networks.d_source, state.networks.d_target = Constant(0.5), Constant(0.5)
    batch = make_batch(spec, state)
    images = translate(state, batch, cycle=False, identity=False)
    assert cyclegan_terms(state, batch, images)["adversarial"] == 2 * 0.25
    assert discriminator_phase(state, batch, images)["discriminator"] == 2 * 0.25


def test_lsgan_terms_of_perfect_discriminators() -> None:
    spec = make_spec(loss_weights={"cycle": 0, "identity": 0})
    state = make_state(spec)
    state.networks.d_source = state.networks.d_target = Brightness()
    batch = make_batch(spec, state)
    bright, dark = torch.ones_like(batch.source), -torch.ones_like(batch.source)
    real = type(batch)(
        bright, batch.source_labels, bright, batch.semantic_source, batch.semantic_target
    )
    dark.requires_grad_()
    images = type(translate(state, batch, cycle=False, identity=False))(
        dark, dark, None, None, None, None
    )
    assert cyclegan_terms(state, real, images)["adversarial"] == 2
    from adaptune.losses.gan import discriminator_loss

    assert discriminator_loss(Brightness()(bright), Brightness()(dark), "lsgan") == 0


@pytest.mark.parametrize("generator", ["unshuffle", "resnet"])
def test_real_and_identity_images_in_one_call_equal_two_calls(generator: str) -> None:
    spec = make_spec(generator=generator)
    state = make_state(spec)
    there, back = (
        state.networks.g_source_to_target.double(),
        state.networks.g_target_to_source.double(),
    )
    batch = make_batch(spec, state)
    x_s, x_t = batch.source.double(), batch.target.double()
    double = type(batch)(
        x_s, batch.source_labels, x_t, batch.semantic_source, batch.semantic_target
    )
    state.networks.d_source.double()
    state.networks.d_target.double()
    parameters = [*there.parameters(), *back.parameters()]

    together = sum(
        cyclegan_terms(state, double, translate(state, double, cycle=True, identity=True)).values()
    )
    target, source = there(x_s), back(x_t)
    apart = (
        F.mse_loss(state.networks.d_target(target), torch.ones(4, 1, 4, 4).double())
        + F.mse_loss(state.networks.d_source(source), torch.ones(4, 1, 4, 4).double())
        + F.l1_loss(back(target), x_s)
        + F.l1_loss(there(source), x_t)
        + F.l1_loss(back(x_s), x_s)
        + F.l1_loss(there(x_t), x_t)
    )
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-10)
    grads = (torch.autograd.grad(loss, parameters) for loss in (together, apart))
    for one, two in zip(*grads, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


def test_f_target_on_both_domains_in_one_call_equals_two_calls() -> None:
    spec = make_spec()
    state = make_state(spec)
    f_target = state.networks.f_target.double().train()
    source, target = torch.randn(2, 4, 1, 16, 16, dtype=torch.float64)
    together = f_target(torch.cat([source, target]))
    torch.testing.assert_close(
        together, torch.cat([f_target(source), f_target(target)]), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_the_task_on_both_is_the_mean_over_translated_and_source_images(method: str) -> None:
    state = make_state(spec := make_spec(method=method, task_images="both"))
    batch = make_batch(spec, state)
    f_target, labels = state.networks.f_target.train(), batch.source_labels
    with torch.no_grad():  # f_T learns from what the generators made before their update
        images = batch.source, state.networks.g_source_to_target(batch.source)
        expected = sum(F.cross_entropy(f_target(one), labels) for one in images) / 2
    torch.testing.assert_close(run(state, batch)["task"], expected)


def images_seen(
    method: str = "cycada", task_images: str = "translated", **weights: float
) -> Counter[str]:
    """Images (rows) that each network is given in one update of batch size 4."""
    state = make_state(
        spec := make_spec(method=method, loss_weights=weights, task_images=task_images)
    )
    batch = make_batch(spec, state)
    rows: Counter[str] = Counter()

    def note(name: str) -> Any:
        return lambda _, inputs, __: rows.update({name: len(inputs[0])})

    for name in (*TRAINED, "f_source"):
        getattr(state.networks, name).register_forward_hook(note(name))
    run(state, batch)
    return rows


@pytest.mark.parametrize(
    ("weights", "network", "rows"),
    [
        ({}, "g_source_to_target", 12),
        ({"identity": 0}, "g_source_to_target", 8),
        ({"cycle": 0}, "g_target_to_source", 8),
        ({"cycle": 0, "identity": 0}, "g_target_to_source", 4),
        ({}, "d_target", 12),
        ({"adversarial": 0}, "d_target", 0),
        ({"adversarial": 0}, "d_source", 0),
        ({}, "f_source", 8),
        ({"semantic": 0}, "f_source", 0),
        ({}, "d_feature", 12),
        ({"feature": 0}, "d_feature", 0),
        ({"feature": 0}, "f_target", 8),
        ({"information": 0}, "f_target", 8),
        ({"feature": 0, "information": 0}, "f_target", 4),
    ],
)
def test_a_weight_of_0_skips_the_forward_passes(
    weights: dict[str, float], network: str, rows: int
) -> None:
    assert images_seen(**weights)[network] == rows


@pytest.mark.parametrize(("method", "rows"), [("cycada", 12), ("cyclegan", 8)])
def test_source_images_are_for_the_task_and_not_for_d_feature(method: str, rows: int) -> None:
    seen = images_seen(method, task_images="both")
    assert seen["f_target"] == rows
    assert seen["d_feature"] == images_seen(method)["d_feature"]


def test_cyclegan_leaves_cycadas_terms_out() -> None:
    rows = images_seen("cyclegan")
    assert (rows["f_source"], rows["d_feature"], rows["f_target"]) == (0, 0, 4)


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_terms_come_detached_unweighted_and_complete(method: str) -> None:
    terms = {}
    for scale in (1, 7):
        weights = {"adversarial": scale, "cycle": scale, "identity": scale}
        state = make_state(spec := make_spec(method=method, loss_weights=weights))
        terms[scale] = run(state, make_batch(spec, state))
    expected = {"adversarial", "cycle", "identity", "discriminator", "task"}
    if method == "cycada":
        expected |= {"semantic", "feature", "information", "feature_discriminator", "feature_gate"}
    assert set(terms[1]) == expected
    assert not any(value.requires_grad or value.dim() for value in terms[1].values())
    for name in ("adversarial", "cycle", "identity"):
        assert torch.equal(terms[1][name], terms[7][name])
