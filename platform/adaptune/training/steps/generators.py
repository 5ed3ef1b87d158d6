"""The phase of an update that trains G_st and G_ts, for both methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptune.losses.gan import adversarial_loss
from adaptune.losses.reconstruction import cycle_loss, identity_loss
from adaptune.training.distributed import unwrap
from adaptune.training.state import TrainingState
from adaptune.training.steps.augment import discriminator_input
from adaptune.training.steps.batch import Batch, Translated, joined
from adaptune.training.steps.discriminators import discriminator_phase
from adaptune.training.steps.optimization import (
    LossTerms,
    accumulated_step,
    frozen,
    total,
    weighted_sum,
)


@dataclass(frozen=True)
class Translations:
    """Outputs of the generators for a batch, (N, C, H, W) in [-1, 1] each.

    Attributes:
        source_translated: G_st(x_s).
        target_translated: G_ts(x_t).
        source_reconstructed: G_ts(G_st(x_s)); None without the cycle term.
        target_reconstructed: G_st(G_ts(x_t)); None without this part of the cycle term.
        source_identity: G_ts(x_s); None without the identity term.
        target_identity: G_st(x_t); None without the identity term.
    """

    source_translated: Tensor
    target_translated: Tensor
    source_reconstructed: Tensor | None
    target_reconstructed: Tensor | None
    source_identity: Tensor | None
    target_identity: Tensor | None


SemanticTerm = Callable[[TrainingState, Batch, Translations], Tensor]


def gan_phase(
    state: TrainingState, batch: Batch, semantic_term: SemanticTerm | None = None
) -> tuple[LossTerms, Tensor]:
    """Update G_st and G_ts, and then D_s and D_t.

    Args:
        semantic_term: see `generator_phase`.

    Returns:
        The terms, as scalars, and the images that f_T learns the source labels from,
        (N, C, H, W): translations of the source images or, without a term that trains the
        generators, the source images themselves.
    """
    weights = state.spec.loss_weights
    has_terms = weights.adversarial or weights.cycle or weights.identity or semantic_term
    if not has_terms:
        return {}, batch.source
    terms, images = generator_phase(state, batch, semantic_term)
    terms |= discriminator_phase(state, batch, images)
    return terms, images.source


def generator_phase(
    state: TrainingState, batch: Batch, semantic_term: SemanticTerm | None = None
) -> tuple[LossTerms, Translated]:
    """Update G_st and G_ts once.

    Args:
        semantic_term: computes the semantic term of CyCADA; None without it.

    Returns:
        The terms of the generators, as scalars, and the translations before the update.
    """
    nets = state.networks
    weights = state.spec.loss_weights
    source = []
    target = []

    def loss_of(part: Batch) -> tuple[Tensor, LossTerms]:
        images = translate(state, part, cycle=weights.cycle > 0, identity=weights.identity > 0)
        source.append(images.source_translated.detach())
        target.append(images.target_translated.detach())
        terms = cyclegan_terms(state, part, images)
        if semantic_term is not None:
            terms["semantic"] = state.semantic_open * semantic_term(state, part, images)
        return weighted_sum(terms, weights), terms

    with frozen(nets.d_s, nets.d_t):
        terms = accumulated_step(
            state.optimizers.generators,
            [nets.g_st, nets.g_ts],
            batch.parts(state.spec.training.accumulate),
            loss_of,
        )
    return terms, Translated(joined(source), joined(target))


def translate(state: TrainingState, batch: Batch, *, cycle: bool, identity: bool) -> Translations:
    """Run all forward passes of the generators in an update.

    Args:
        cycle: whether to reconstruct the images.
        identity: whether to translate each image to the domain that it is from.
    """
    g_st = state.networks.g_st
    g_ts = state.networks.g_ts
    source_reconstructed = None
    target_reconstructed = None
    source_identity = None
    target_identity = None
    if identity:
        source_translated, target_identity = _translate_both(g_st, batch.source, batch.target)
        target_translated, source_identity = _translate_both(g_ts, batch.target, batch.source)
    else:
        source_translated = g_st(batch.source)
        target_translated = g_ts(batch.target)
    if cycle:
        source_reconstructed = g_ts(source_translated)
        if state.spec.training.target_to_source.cycle:
            target_reconstructed = g_st(target_translated)
    return Translations(
        source_translated=source_translated,
        target_translated=target_translated,
        source_reconstructed=source_reconstructed,
        target_reconstructed=target_reconstructed,
        source_identity=source_identity,
        target_identity=target_identity,
    )


def cyclegan_terms(state: TrainingState, batch: Batch, images: Translations) -> LossTerms:
    """Compute the terms of the generators, as scalars (Zhu et al. 2017, eq. 1, 2 and section 5.2).

    Each is the sum over both directions, with the factors of `training.target_to_source`. Terms of
    weight 0 are left out.
    """
    nets = state.networks
    gan_loss = state.spec.training.gan_loss
    factors = state.spec.training.target_to_source
    terms: LossTerms = {}
    if state.spec.loss_weights.adversarial:
        input_of_d_t = discriminator_input(
            state, images.source_translated, "generator-source", batch.first
        )
        input_of_d_s = discriminator_input(
            state, images.target_translated, "generator-target", batch.first
        )
        source_logits = unwrap(nets.d_t)(input_of_d_t)
        target_logits = unwrap(nets.d_s)(input_of_d_s)
        source_to_target = adversarial_loss(source_logits, gan_loss)
        target_to_source = adversarial_loss(target_logits, gan_loss)
        terms["adversarial"] = total([source_to_target, factors.adversarial * target_to_source])
    if images.source_reconstructed is not None:
        terms["cycle"] = cycle_loss(batch.source, images.source_reconstructed)
    if images.target_reconstructed is not None:
        target_cycle = cycle_loss(batch.target, images.target_reconstructed)
        terms["cycle"] = terms["cycle"] + factors.cycle * target_cycle
    if images.source_identity is not None and images.target_identity is not None:
        source_loss = identity_loss(batch.source, images.source_identity)
        target_loss = identity_loss(batch.target, images.target_identity)
        terms["identity"] = source_loss + target_loss
    return terms


def _translate_both(
    generator: nn.Module, images: Tensor, identity: Tensor
) -> tuple[Tensor, Tensor]:
    """Translate two batches in one call: (N, C, H, W), (M, C, H, W) → the same shapes.

    One call is exact, because instance norm treats each image separately.
    """
    outputs = generator(torch.cat([images, identity]))
    translated, same = outputs.split([len(images), len(identity)])
    return translated, same
