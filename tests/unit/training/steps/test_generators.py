from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from support.tiny_step import run_step
from support.tiny_trial import make_batch, make_spec, make_state
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from adaptune.losses.classification import semantic_loss
from adaptune.losses.gan import discriminator_loss
from adaptune.training.steps.batch import Translated
from adaptune.training.steps.discriminators import discriminator_phase
from adaptune.training.steps.generators import (
    cyclegan_terms,
    generator_phase,
    translate,
)


class Constant(nn.Module):
    """A discriminator with the same logit for everything."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logit.expand(len(images), 1, 4, 4)


class Brightness(nn.Module):
    """A perfect discriminator if real images are bright: 1 for them, 0 for dark ones."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.mean(dim=(1, 2, 3)) > 0).float() + 0 * images.mean()


def test_the_translations_of_a_batch() -> None:
    spec = make_spec()
    state = make_state(spec)
    batch = make_batch(spec, state)
    g_st = state.networks.g_st
    g_ts = state.networks.g_ts
    images = translate(state, batch, cycle=True, identity=True)
    assert images.source_reconstructed is not None
    assert images.target_reconstructed is not None
    assert images.source_identity is not None
    assert images.target_identity is not None
    torch.testing.assert_close(images.source_translated, g_st(batch.source))
    torch.testing.assert_close(images.target_translated, g_ts(batch.target))
    torch.testing.assert_close(images.source_reconstructed, g_ts(g_st(batch.source)))
    torch.testing.assert_close(images.target_reconstructed, g_st(g_ts(batch.target)))
    torch.testing.assert_close(images.source_identity, g_ts(batch.source))
    torch.testing.assert_close(images.target_identity, g_st(batch.target))


def test_translations_without_a_term_that_needs_them_are_left_out() -> None:
    spec = make_spec()
    state = make_state(spec)
    images = translate(state, make_batch(spec, state), cycle=False, identity=False)
    assert images.source_reconstructed is None
    assert images.target_reconstructed is None
    assert images.source_identity is None
    assert images.target_identity is None


def test_identity_generators_lose_nothing_but_semantics() -> None:
    spec = make_spec()
    state = make_state(spec)
    state.networks = replace(state.networks, g_st=nn.Identity(), g_ts=nn.Identity())
    batch = make_batch(spec, state)
    images = translate(state, batch, cycle=True, identity=True)
    terms = cyclegan_terms(state, batch, images)
    assert terms["cycle"] == 0
    assert terms["identity"] == 0

    f_s = state.networks.f_s
    logits = f_s(batch.source)
    assert torch.equal(batch.semantic_source, logits.argmax(dim=1))
    semantic = semantic_loss(f_s(images.source_translated), batch.semantic_source)
    assert semantic == F.cross_entropy(logits, logits.argmax(dim=1))
    assert semantic > 0


def test_lsgan_terms_of_undecided_discriminators() -> None:
    spec = make_spec(loss_weights={"cycle": 0, "identity": 0})
    state = make_state(spec)
    state.networks = replace(state.networks, d_s=Constant(0.5), d_t=Constant(0.5))
    batch = make_batch(spec, state)
    images = translate(state, batch, cycle=False, identity=False)
    assert cyclegan_terms(state, batch, images)["adversarial"] == 2 * 0.25
    translated = Translated(images.source_translated, images.target_translated)
    assert discriminator_phase(state, batch, translated)["discriminator"] == 2 * 0.25


def test_lsgan_terms_of_perfect_discriminators() -> None:
    spec = make_spec(loss_weights={"cycle": 0, "identity": 0})
    state = make_state(spec)
    state.networks = replace(state.networks, d_s=Brightness(), d_t=Brightness())
    batch = make_batch(spec, state)
    bright = torch.ones_like(batch.source)
    dark = -torch.ones_like(batch.source)
    real = replace(batch, source=bright, target=bright)
    translations = translate(state, batch, cycle=False, identity=False)
    fake = replace(translations, source_translated=dark.requires_grad_(), target_translated=dark)
    assert cyclegan_terms(state, real, fake)["adversarial"] == 2
    assert discriminator_loss(Brightness()(bright), Brightness()(dark), "lsgan") == 0


def test_each_discriminator_reads_the_translations_into_its_own_domain() -> None:
    spec = make_spec(pool_size=4)
    state = make_state(spec)
    batch = make_batch(spec, state)
    images = Translated(batch.source + 1, batch.target + 2)
    discriminator_phase(state, batch, images)
    assert state.pool_target.images is not None
    assert state.pool_source.images is not None
    assert torch.equal(state.pool_target.images, images.source)
    assert torch.equal(state.pool_source.images, images.target)


def test_without_the_adversarial_term_no_discriminator_is_trained() -> None:
    spec = make_spec(pool_size=4, loss_weights={"adversarial": 0})
    state = make_state(spec)
    batch = make_batch(spec, state)
    images = Translated(batch.source, batch.target)
    assert discriminator_phase(state, batch, images) == {}
    assert state.pool_target.images is None


@pytest.mark.parametrize("generator", ["unshuffle", "resnet"])
def test_real_and_identity_images_in_one_call_equal_two_calls(generator: str) -> None:
    spec = make_spec(generator=generator)
    state = make_state(spec)
    g_st = state.networks.g_st.double()
    g_ts = state.networks.g_ts.double()
    d_s = state.networks.d_s.double()
    d_t = state.networks.d_t.double()
    batch = make_batch(spec, state)
    x_s = batch.source.double()
    x_t = batch.target.double()
    double = replace(batch, source=x_s, target=x_t)
    parameters = [*g_st.parameters(), *g_ts.parameters()]

    images = translate(state, double, cycle=True, identity=True)
    together = sum(cyclegan_terms(state, double, images).values())
    ones = torch.ones(4, 1, 4, 4).double()
    apart = (
        F.mse_loss(d_t(g_st(x_s)), ones)
        + F.mse_loss(d_s(g_ts(x_t)), ones)
        + F.l1_loss(g_ts(g_st(x_s)), x_s)
        + F.l1_loss(g_st(g_ts(x_t)), x_t)
        + F.l1_loss(g_ts(x_s), x_s)
        + F.l1_loss(g_st(x_t), x_t)
    )
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-10)
    gradients = torch.autograd.grad(together, parameters)
    expected = torch.autograd.grad(apart, parameters)
    torch.testing.assert_close(gradients, expected, rtol=1e-10, atol=1e-10)


def test_the_translations_of_a_phase_are_those_before_its_update() -> None:
    spec = make_spec(accumulate=2)
    state = make_state(spec)
    batch = make_batch(spec, state)
    before = translate(state, batch, cycle=False, identity=False)
    _, images = generator_phase(state, batch)
    torch.testing.assert_close(images.source, before.source_translated.detach())
    torch.testing.assert_close(images.target, before.target_translated.detach())
    assert not images.source.requires_grad


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_update_in_parts_is_that_of_the_whole_batch(method: str, precision: str) -> None:
    updated = []
    for accumulate in (1, 4):
        spec = make_spec(
            method=method,
            precision=precision,
            accumulate=accumulate,
            batch_size=8,
            pool_size=6,
            loss_weights={} if method == "cycada" else {"information": 0},
        )
        state = make_state(spec)
        terms = [run_step(state, make_batch(spec, state, step)) for step in range(3)]
        updated.append((terms, state.networks))
    (whole_terms, whole), (parts_terms, parts) = updated
    for whole_step, parts_step in zip(whole_terms, parts_terms, strict=True):
        assert whole_step.keys() == parts_step.keys()
        for name, value in whole_step.items():
            torch.testing.assert_close(parts_step[name], value, rtol=2e-4, atol=2e-5)
    for name in ("g_st", "g_ts", "d_s", "d_t", "f_t"):
        for one, other in zip(
            getattr(whole, name).parameters(), getattr(parts, name).parameters(), strict=True
        ):
            # Adam turns a gradient that is almost 0 into a step of either sign.
            assert (one - other).abs().mean() < 2e-5


def test_what_a_part_stores_for_its_gradients_is_freed_before_the_next_part() -> None:
    spec = make_spec(accumulate=4, batch_size=8, loss_weights={"identity": 0})
    state = make_state(spec)
    translations: list[weakref.ref[torch.Tensor]] = []
    alive = []

    def remember(_: object, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert len(inputs[0]) == 2
        alive.append(sum(translation() is not None for translation in translations))
        translations.append(weakref.ref(output))

    state.networks.g_st.register_forward_hook(remember)
    generator_phase(state, make_batch(spec, state))
    # G_st translates twice per part: to the target, and back.
    assert len(alive) == 8
    assert max(alive) <= 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recomputed_blocks_have_the_same_gradients_and_store_less(precision: str) -> None:
    updated = []
    stored = []
    for recompute in (False, True):
        spec = make_spec(recompute_blocks=recompute, generator="resnet", precision=precision)
        state = make_state(spec)
        sizes = []

        def remember(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.nbytes)
            return tensor

        batch = make_batch(spec, state)
        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            images = translate(state, batch, cycle=True, identity=False)
        stored.append(sum(sizes))
        state = make_state(spec)
        run_step(state, batch)
        updated.append(torch.cat([p.flatten() for p in state.networks.g_st.parameters()]))
        assert images.source_reconstructed is not None
    assert torch.equal(*updated)
    assert stored[1] < stored[0]
