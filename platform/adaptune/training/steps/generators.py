"""The phases that the CycleGAN step and the CyCADA step are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adaptune.losses.gan import adversarial_loss, discriminator_loss
from adaptune.losses.reconstruction import cycle_loss, identity_loss
from adaptune.spec.loss_terms import LossWeights
from adaptune.training.distributed import unwrap
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch

LossTerms = dict[str, Tensor]


@dataclass(frozen=True)
class Translations:
    """What the generators make of a batch; None where a term that needs it has weight 0."""

    target: Tensor  # G_source_to_target(x_s)
    source: Tensor  # G_target_to_source(x_t)
    source_again: Tensor | None  # G_target_to_source(G_source_to_target(x_s))
    target_again: Tensor | None
    source_same: Tensor | None  # G_target_to_source(x_s)
    target_same: Tensor | None


def translate(state: TrainingState, batch: Batch, *, cycle: bool, identity: bool) -> Translations:
    """All the generators' forward passes of an update, real and identity inputs in one call each.

    One call is exact: instance norm treats each image alone.
    """
    there, back = state.networks.g_source_to_target, state.networks.g_target_to_source
    source_same = target_same = None
    if identity:
        target, target_same = there(torch.cat([batch.source, batch.target])).split(
            [len(batch.source), len(batch.target)]
        )
        source, source_same = back(torch.cat([batch.target, batch.source])).split(
            [len(batch.target), len(batch.source)]
        )
    else:
        target, source = there(batch.source), back(batch.target)
    return Translations(
        target=target,
        source=source,
        source_again=back(target) if cycle else None,
        target_again=there(source) if cycle else None,
        source_same=source_same,
        target_same=target_same,
    )


def cyclegan_terms(state: TrainingState, batch: Batch, images: Translations) -> LossTerms:
    """The generators' unweighted CycleGAN terms, each summed over both directions (Zhu et al. 2017, eq. 3)."""
    nets, training, weights = state.networks, state.spec.training, state.spec.loss_weights
    terms: LossTerms = {}
    if weights.adversarial:
        fooled = unwrap(nets.d_target)(images.target), unwrap(nets.d_source)(images.source)
        terms["adversarial"] = total(
            adversarial_loss(logits, training.gan_loss) for logits in fooled
        )
    if images.source_again is not None and images.target_again is not None:
        terms["cycle"] = cycle_loss(batch.source, images.source_again) + cycle_loss(
            batch.target, images.target_again
        )
    if images.source_same is not None and images.target_same is not None:
        terms["identity"] = identity_loss(batch.source, images.source_same) + identity_loss(
            batch.target, images.target_same
        )
    return terms


def discriminator_phase(state: TrainingState, batch: Batch, images: Translations) -> LossTerms:
    """One update of D_source and D_target on real images and pooled translations."""
    if not state.spec.loss_weights.adversarial:
        return {}
    random = state.generator("pool", own=True)
    pairs = (
        (state.networks.d_target, batch.target, state.pool_target.query(images.target, random)),
        (state.networks.d_source, batch.source, state.pool_source.query(images.source, random)),
    )
    losses = []
    for discriminator, real, fake in pairs:
        real_logits, fake_logits = discriminator(torch.cat([real, fake])).split(
            [len(real), len(fake)]
        )
        losses.append(discriminator_loss(real_logits, fake_logits, state.spec.training.gan_loss))
    loss = total(losses)
    optimizer_step(state.optimizers.discriminators, loss)
    return {"discriminator": loss.detach()}


def weighted_sum(terms: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """Σ λ·term."""
    return total(getattr(weights, name) * value for name, value in terms.items())


def total(values: Iterator[Tensor] | list[Tensor]) -> Tensor:
    return torch.stack(list(values)).sum()


def optimizer_step(optimizer: Optimizer, loss: Tensor) -> None:
    """One optimizer step on `loss`; no gradient is left behind."""
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Gradients flow through these networks, none into them."""
    for module in modules:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(True)
