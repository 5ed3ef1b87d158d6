"""One update of CyCADA (Hoffman et al. 2018): pixel-level and feature-level adaptation together."""

from __future__ import annotations

from torch import Tensor

from adaptune.losses.classification import semantic_loss
from adaptune.training.distributed import all_reduce_mean
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.classifier import adaptation_phase
from adaptune.training.steps.generators import (
    LossTerms,
    Translations,
    cyclegan_terms,
    discriminator_phase,
    frozen,
    optimizer_step,
    translate,
    weighted_sum,
)


def cycada_step(state: TrainingState, batch: Batch) -> LossTerms:
    """Generators with the semantic loss, then image discriminators, then D_feat and f_T.

    Returns:
        Each term unweighted and detached, a scalar over this worker's share of the batch.
    """
    nets, weights = state.networks, state.spec.loss_weights

    terms: LossTerms = {}
    translated = batch.source  # as it is, where nothing trains the generators
    if weights.adversarial or weights.cycle or weights.identity or weights.semantic:
        with frozen(nets.d_source, nets.d_target):
            images = translate(state, batch, cycle=weights.cycle > 0, identity=weights.identity > 0)
            terms |= cyclegan_terms(state, batch, images)
            if weights.semantic:
                terms["semantic"] = state.semantic_open * _semantic_term(state, batch, images)
            optimizer_step(state.optimizers.generators, weighted_sum(terms, weights))
        terms |= discriminator_phase(state, batch, images)
        translated = images.target

    terms |= adaptation_phase(state, batch, translated)
    _update_semantic_gate(state, terms["task"])
    return {name: value.detach() for name, value in terms.items()}


def _semantic_term(state: TrainingState, batch: Batch, images: Translations) -> Tensor:
    """Eq. 4, both directions: the fixed f_S should see in a translation what it saw before."""
    f_source = state.networks.f_source
    return semantic_loss(f_source(images.target), batch.semantic_source) + semantic_loss(
        f_source(images.source), batch.semantic_target
    )


def _update_semantic_gate(state: TrainingState, task: Tensor) -> None:
    """Once f_T's unweighted task loss was low enough the gate stays open, on all workers alike."""
    threshold = state.spec.training.semantic_gate
    if threshold is not None:
        opened = (all_reduce_mean(task.detach()) <= threshold).float()
        state.semantic_open = state.semantic_open.maximum(opened)
