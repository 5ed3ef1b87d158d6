"""Factors of the direction from target to source."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.tiny_step import images_per_network
from support.tiny_trial import make_batch, make_spec, make_state
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.losses.gan import adversarial_loss
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.cycada import semantic_term
from adaptune.training.steps.generators import Translations, cyclegan_terms, translate

FACTORS = {"adversarial": 0.5, "cycle": 3.0, "semantic": 0.25}


def both_directions(
    state: TrainingState, batch: Batch, images: Translations
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return both parts of each term, that from source to target first."""
    nets = state.networks
    assert images.source_reconstructed is not None
    assert images.target_reconstructed is not None
    return {
        "adversarial": (
            adversarial_loss(nets.d_t(images.source_translated), "lsgan"),
            adversarial_loss(nets.d_s(images.target_translated), "lsgan"),
        ),
        "cycle": (
            F.l1_loss(images.source_reconstructed, batch.source),
            F.l1_loss(images.target_reconstructed, batch.target),
        ),
        "semantic": (
            F.cross_entropy(nets.f_s(images.source_translated), batch.semantic_source),
            F.cross_entropy(nets.f_s(images.target_translated), batch.semantic_target),
        ),
    }


@pytest.mark.parametrize("factors", [{}, FACTORS])
def test_a_term_is_one_direction_and_the_factor_times_the_other(factors: dict[str, float]) -> None:
    spec = make_spec(target_to_source=factors)
    state = make_state(spec)
    batch = make_batch(spec, state)
    images = translate(state, batch, cycle=True, identity=False)
    terms = cyclegan_terms(state, batch, images)
    terms["semantic"] = semantic_term(state, batch, images)
    for name, (source_to_target, target_to_source) in both_directions(state, batch, images).items():
        factor = factors.get(name, 1.0)
        assert torch.equal(terms[name], source_to_target + factor * target_to_source)


def test_the_factor_of_the_adversarial_term_scales_the_gradient_of_g_ts_only() -> None:
    gradients = {}
    for factor in (1.0, 0.5):
        spec = make_spec(target_to_source={"adversarial": factor}, loss_weights={"identity": 0})
        state = make_state(spec)
        batch = make_batch(spec, state)
        images = translate(state, batch, cycle=False, identity=False)
        loss = cyclegan_terms(state, batch, images)["adversarial"]
        for name in ("g_st", "g_ts"):
            parameters = list(getattr(state.networks, name).parameters())
            parts = torch.autograd.grad(loss, parameters, retain_graph=True)
            gradients[name, factor] = torch.cat([part.flatten() for part in parts])
    assert torch.equal(gradients["g_st", 0.5], gradients["g_st", 1.0])
    assert torch.equal(gradients["g_ts", 0.5], 0.5 * gradients["g_ts", 1.0])
    assert gradients["g_ts", 1.0].abs().sum() > 0


@pytest.mark.parametrize(
    ("factors", "network", "images"),
    [
        ({}, "g_st", 12),
        ({"cycle": 0}, "g_st", 8),
        ({"cycle": 0}, "g_ts", 12),
        ({"semantic": 0}, "f_s", 4),
    ],
)
def test_a_factor_of_0_skips_the_forward_passes(
    factors: dict[str, float], network: str, images: int
) -> None:
    assert images_per_network(make_spec(target_to_source=factors))[network] == images


def test_a_cycle_in_one_direction_leaves_the_other_generators_terms_alone() -> None:
    spec = make_spec(target_to_source={"cycle": 0})
    state = make_state(spec)
    batch = make_batch(spec, state)
    images = translate(state, batch, cycle=True, identity=True)
    assert images.target_reconstructed is None
    whole_state = make_state(make_spec())
    whole = translate(whole_state, batch, cycle=True, identity=True)
    expected = cyclegan_terms(whole_state, batch, replace(whole, target_reconstructed=None))
    assert cyclegan_terms(state, batch, images) == expected
