"""The gradient penalty of D_s and D_t."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_step import images_per_network
from support.tiny_trial import make_batch, make_spec, make_state

from adaptune.losses.gan import discriminator_loss
from adaptune.losses.gradient_penalty import gradient_penalty
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch, Translated
from adaptune.training.steps.discriminators import discriminator_phase, penalty_of_both
from adaptune.training.steps.optimization import LossTerms, accumulated_step

WEIGHT = 0.3


def penalised(every: int = 1, **options: Any) -> TrainingState:
    weights = {"gradient_penalty": WEIGHT} | options.pop("loss_weights", {})
    spec = make_spec(loss_weights=weights, gradient_penalty_every=every, **options)
    return make_state(spec)


def penalty(state: TrainingState) -> torch.Tensor:
    batch = make_batch(state.spec, state)
    return penalty_of_both(state, batch.source, batch.target)


def phase(state: TrainingState) -> tuple[LossTerms, list[torch.Tensor]]:
    """Return the terms of a discriminator phase, and the gradients of its step."""
    gradients: list[torch.Tensor] = []

    def remember(optimizer: torch.optim.Optimizer, *_: object) -> None:
        for group in optimizer.param_groups:
            gradients.extend(parameter.grad.clone() for parameter in group["params"])

    state.optimizers.discriminators.register_step_pre_hook(remember)
    batch = make_batch(state.spec, state)
    terms = discriminator_phase(state, batch, Translated(batch.source + 1, batch.target - 1))
    return terms, gradients


def test_the_penalty_is_that_of_both_discriminators_on_real_images() -> None:
    state = penalised()
    batch = make_batch(state.spec, state)
    expected = torch.zeros(())
    for network, images in ((state.networks.d_s, batch.source), (state.networks.d_t, batch.target)):
        inputs = images.clone().requires_grad_()
        expected += gradient_penalty(network(inputs), inputs).detach()
    assert expected > 0
    torch.testing.assert_close(penalty(state).detach(), expected)


def test_the_step_minimises_the_loss_and_the_weighted_penalty() -> None:
    state = penalised()
    nets = state.networks
    batch = make_batch(state.spec, state)
    loss = torch.zeros(())
    for network, images, shift in ((nets.d_t, batch.target, 1), (nets.d_s, batch.source, -1)):
        other = batch.source if network is nets.d_t else batch.target
        logits = network(images), network(other + shift)
        inputs = images.clone().requires_grad_()
        loss = loss + discriminator_loss(*logits, "lsgan")
        loss = loss + WEIGHT * gradient_penalty(network(inputs), inputs)
    parameters = [
        p for group in state.optimizers.discriminators.param_groups for p in group["params"]
    ]
    expected = torch.autograd.grad(loss, parameters)
    _, gradients = phase(state)
    torch.testing.assert_close(gradients, list(expected), rtol=1e-4, atol=1e-6)


def test_a_lazy_penalty_counts_as_often_as_updates_are_skipped() -> None:
    state = penalised(every=4)
    values = []
    for step in range(8):
        state.step = step
        values.append(penalty(state).item())
    whole = penalty(penalised()).item()
    assert values[1:4] == values[5:8] == [0, 0, 0]
    assert values[0] == values[4] == pytest.approx(4 * whole)


def test_a_skipped_penalty_changes_no_gradient_and_is_logged_as_0() -> None:
    plain = make_state(make_spec())
    state = penalised(every=2)
    state.step = plain.step = 1
    terms, gradients = phase(state)
    plain_terms, plain_gradients = phase(plain)
    assert terms == plain_terms | {"gradient_penalty": torch.zeros(())}
    assert all(map(torch.equal, gradients, plain_gradients))


@pytest.mark.parametrize(
    ("weights", "images"), [({"gradient_penalty": 0}, 8), ({}, 12), ({"adversarial": 0}, 0)]
)
def test_a_weight_of_0_skips_the_forward_pass(weights: dict[str, float], images: int) -> None:
    """D_s reads real and translated images, and 4 translations in the update of the generators."""
    counts = images_per_network(penalised(loss_weights=weights).spec)
    generator_images = 4 if images else 0
    assert counts["d_s"] == images + generator_images


def test_an_update_in_parts_has_the_penalty_of_the_whole_batch() -> None:
    whole_terms, whole = phase(penalised(batch_size=8))
    terms, gradients = phase(penalised(batch_size=8, accumulate=4))
    torch.testing.assert_close(terms, whole_terms, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradients, whole, rtol=1e-4, atol=1e-6)


def test_the_penalty_is_computed_in_float32_under_autocast() -> None:
    state = penalised(precision="bf16")
    expected = penalty(state)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(penalty(state), expected)


def test_the_gradients_of_the_penalty_are_those_of_float32_under_autocast() -> None:
    gradients = []
    for precision in ("fp32", "bf16"):
        state = penalised(precision=precision)
        batch = make_batch(state.spec, state)
        nets = state.networks
        parameters = [*nets.d_s.parameters(), *nets.d_t.parameters()]
        optimizer = torch.optim.SGD(parameters, lr=1.0)

        def loss_of(part: Batch, state: TrainingState = state) -> tuple[torch.Tensor, LossTerms]:
            return penalty_of_both(state, part.source, part.target), {}

        before = [parameter.detach().clone() for parameter in parameters]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            accumulated_step(optimizer, [nets.d_s, nets.d_t], [batch], loss_of)
        pairs = zip(before, parameters, strict=True)
        gradients.append([old - new.detach() for old, new in pairs])
    assert any(gradient.any() for gradient in gradients[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)


def test_the_penalty_makes_the_discriminators_flatter() -> None:
    slopes = {}
    for weight in (0.0, 10.0):
        state = penalised(loss_weights={"gradient_penalty": weight}, discriminator_lr=0.01)
        for _ in range(10):
            phase(state)
        slopes[weight] = penalty(state).item()
    assert slopes[10.0] < 0.5 * slopes[0.0]
