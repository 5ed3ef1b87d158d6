"""The phase of an update that trains D_s and D_t, for both methods."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from adaptune.losses.gan import discriminator_loss
from adaptune.losses.gradient_penalty import gradient_penalty
from adaptune.training.distributed import unwrap
from adaptune.training.draws import Purpose
from adaptune.training.image_pool import Exchange
from adaptune.training.state import TrainingState
from adaptune.training.steps.augment import discriminator_input
from adaptune.training.steps.batch import Batch, Translated
from adaptune.training.steps.optimization import LossTerms, accumulated_step, total


def discriminator_phase(state: TrainingState, batch: Batch, images: Translated) -> LossTerms:
    """Update D_s and D_t once, on real images and on translations from the image pools.

    Returns:
        Scalars, each summed over D_s and D_t: `discriminator`, their loss, and `gradient_penalty`
        if it has a weight. Nothing if no generator is trained against D_s and D_t.
    """
    weights = state.spec.loss_weights
    if not weights.adversarial:
        return {}
    nets = state.networks
    fake_source, fake_target = _from_pools(state, images)

    def loss_of(part: Sequence[Tensor]) -> tuple[Tensor, LossTerms]:
        real_source, real_target, fake_source, fake_target = part
        target_loss = _discriminator_loss(state, nets.d_t, real_target, fake_target)
        source_loss = _discriminator_loss(state, nets.d_s, real_source, fake_source)
        loss = total([target_loss, source_loss])
        if not weights.gradient_penalty:
            return loss, {"discriminator": loss}
        penalty = penalty_of_both(state, real_source, real_target)
        terms = {"discriminator": loss, "gradient_penalty": penalty}
        return loss + weights.gradient_penalty * penalty, terms

    columns = [
        discriminator_input(state, batch.source, "real-source"),
        discriminator_input(state, batch.target, "real-target"),
        discriminator_input(state, fake_source, "fake-source"),
        discriminator_input(state, fake_target, "fake-target"),
    ]
    count = state.spec.training.accumulate
    parts = list(zip(*(column.chunk(count) for column in columns), strict=True))
    return accumulated_step(state.optimizers.discriminators, [nets.d_s, nets.d_t], parts, loss_of)


def penalty_of_both(state: TrainingState, source: Tensor, target: Tensor) -> Tensor:
    """Compute the gradient penalty of D_s and D_t: (N, C, H, W), (M, C, H, W) → scalar.

    It is computed in one of `training.gradient_penalty_every` updates, where it counts that many
    times (lazy regularisation, Karras et al. 2020); in the others it is 0. So the mean over all
    updates is that of a penalty in each update.
    """
    if not state.computes_penalty:
        return source.new_zeros(())
    every = state.spec.training.gradient_penalty_every
    nets = state.networks
    return every * total([_penalty(nets.d_s, source), _penalty(nets.d_t, target)])


def _from_pools(state: TrainingState, images: Translated) -> tuple[Tensor, Tensor]:
    """Exchange the translations of the target and the source images with the image pools.

    (N, C, H, W) each, → the same shapes.
    """
    if not state.pool_target.size:
        return images.target, images.source
    count = len(images.source)

    def draw(rng: torch.Generator) -> tuple[Exchange, Exchange]:
        return state.pool_target.draw(count, rng), state.pool_source.draw(count, rng)

    of_target, of_source = state.drawn(Purpose("pool", per_worker=True), draw)
    fake_target = state.pool_target.exchange(images.source, of_target)
    fake_source = state.pool_source.exchange(images.target, of_source)
    return fake_source, fake_target


def _discriminator_loss(
    state: TrainingState, discriminator: nn.Module, real: Tensor, fake: Tensor
) -> Tensor:
    """Compute the loss of D_s or D_t in one call: (N, C, H, W), (M, C, H, W) → scalar."""
    logits = discriminator(torch.cat([real, fake]))
    real_logits, fake_logits = logits.split([len(real), len(fake)])
    return discriminator_loss(real_logits, fake_logits, state.spec.training.gan_loss)


def _penalty(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Compute the gradient penalty of D_s or D_t in float32: (N, C, H, W) → scalar.

    The network inside the wrapper computes the logits: its gradients are added to those of the loss
    before the workers exchange them. A compiled network could not be differentiated twice.
    """
    autocast = torch.autocast(images.device.type, enabled=False)
    with autocast, torch.compiler.set_stance("force_eager"):
        inputs = images.detach().float().requires_grad_()
        return gradient_penalty(unwrap(discriminator)(inputs), inputs)
