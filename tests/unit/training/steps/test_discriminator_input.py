"""Images as the image discriminators get them, with the changes of `training.d_augment`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.augmentations import photographs
from support.tiny_step import run_step
from support.tiny_trial import make_batch, make_spec, make_state
from torch import Tensor

from adaptune.training.state import TrainingState
from adaptune.training.steps import augment
from adaptune.training.steps.augment import discriminator_input
from adaptune.training.steps.batch import Translated
from adaptune.training.steps.discriminators import discriminator_phase
from adaptune.training.steps.generators import generator_phase

CHANGED: dict[str, Any] = {
    "d_augment": {"brightness": 0.5, "contrast": 0.5, "shift": 0.125, "cutout": 0.3}
}


def gradients_of_generators(**training: Any) -> list[Tensor]:
    """Return the gradients of an update of the generators by the adversarial term alone."""
    weights = {"cycle": 0.0, "identity": 0.0, "semantic": 0.0}
    spec = make_spec(batch_size=8, loss_weights=weights, **training)
    state = make_state(spec)
    gradients: list[Tensor] = []

    def remember(optimizer: torch.optim.Optimizer, *_: object) -> None:
        for group in optimizer.param_groups:
            gradients.extend(parameter.grad.clone() for parameter in group["params"])

    state.optimizers.generators.register_step_pre_hook(remember)
    generator_phase(state, make_batch(spec, state))
    return gradients


def inputs(state: TrainingState, network: str) -> list[Tensor]:
    """Return what a discriminator gets in its own phase."""
    batches: list[Tensor] = []

    def remember(_: object, arguments: tuple[Tensor, ...], __: object) -> None:
        batches.append(arguments[0].detach())

    getattr(state.networks, network).register_forward_hook(remember)
    batch = make_batch(state.spec, state)
    discriminator_phase(state, batch, Translated(batch.target, batch.source))
    return batches


def test_without_options_images_are_returned_themselves_and_nothing_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = make_state(make_spec())
    monkeypatch.setattr(state, "rng", None)
    images = photographs(4, 16, 1)
    assert discriminator_input(state, images, "purpose") is images


def test_the_draws_depend_on_the_update_and_on_the_purpose() -> None:
    state = make_state(make_spec(**CHANGED))
    images = photographs(4, 16, 1)
    first = discriminator_input(state, images, "purpose")
    assert torch.equal(discriminator_input(state, images, "purpose"), first)
    assert not torch.equal(discriminator_input(state, images, "other"), first)
    state.step += 1
    assert not torch.equal(discriminator_input(state, images, "purpose"), first)


@pytest.mark.parametrize("workers", [2, 4])
def test_each_worker_and_each_part_has_its_part_of_the_global_batch(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = make_state(make_spec(batch_size=8, **CHANGED))
    images = photographs(8, 16, 1)
    whole = discriminator_input(state, images, "purpose")
    monkeypatch.setattr(augment, "world_size", lambda: workers)
    results: list[Tensor] = []
    for rank, own_images in enumerate(images.chunk(workers)):
        monkeypatch.setattr(augment, "rank", lambda rank=rank: rank)
        for first in range(len(own_images)):
            part = own_images[first : first + 1]
            results.append(discriminator_input(state, part, "purpose", first))
    torch.testing.assert_close(torch.cat(results), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("network", ["d_s", "d_t"])
def test_real_and_translated_images_are_changed_with_draws_of_their_own(network: str) -> None:
    """The translations of this phase are the real images of the other domain."""
    (plain,) = inputs(make_state(make_spec()), network)
    (changed,) = inputs(make_state(make_spec(**CHANGED)), network)
    assert plain.shape == changed.shape
    assert torch.equal(plain[:4], plain[4:])
    assert not torch.equal(changed[:4], plain[:4])
    assert not torch.equal(changed[4:], plain[4:])
    assert not torch.equal(changed[:4], changed[4:])


def test_the_image_pools_keep_translations_without_changes() -> None:
    spec = make_spec(pool_size=4, **CHANGED)
    state = make_state(spec)
    batch = make_batch(spec, state)
    discriminator_phase(state, batch, Translated(batch.source, batch.target))
    assert state.pool_target.images is not None
    assert torch.equal(state.pool_target.images, batch.source)


def test_the_generators_learn_through_the_changes() -> None:
    plain = gradients_of_generators()
    changed = gradients_of_generators(**CHANGED)
    size = sum(gradient.norm() for gradient in changed)
    assert size > 0.1 * sum(gradient.norm() for gradient in plain)
    assert any(not torch.equal(*pair) for pair in zip(plain, changed, strict=True))


def test_an_update_in_parts_has_the_gradients_of_the_whole_batch() -> None:
    whole = gradients_of_generators(**CHANGED)
    parts = gradients_of_generators(accumulate=4, **CHANGED)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


def test_f_t_learns_from_images_without_the_changes() -> None:
    terms = []
    for options in ({}, CHANGED):
        spec = make_spec(**options)
        state = make_state(spec)
        terms.append(run_step(state, make_batch(spec, state)))
    plain, changed = terms
    for name in ("task", "information", "cycle", "semantic"):
        assert torch.equal(plain[name], changed[name])
    assert plain["adversarial"] != changed["adversarial"]
