"""One update of CycleGAN (Zhu et al. 2017), with a classifier that learns from its translations."""

from __future__ import annotations

from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.classifier import task_phase
from adaptune.training.steps.generators import (
    LossTerms,
    cyclegan_terms,
    discriminator_phase,
    frozen,
    optimizer_step,
    translate,
    weighted_sum,
)


def cyclegan_step(state: TrainingState, batch: Batch) -> LossTerms:
    """CyCADA's "pixel only": generators, then image discriminators, then f_T.

    Returns:
        Each term unweighted and detached, a scalar over this worker's share of the batch.
    """
    nets, weights = state.networks, state.spec.loss_weights

    terms: LossTerms = {}
    translated = batch.source  # as it is, where nothing trains the generators
    if weights.adversarial or weights.cycle or weights.identity:
        with frozen(nets.d_source, nets.d_target):
            images = translate(state, batch, cycle=weights.cycle > 0, identity=weights.identity > 0)
            terms |= cyclegan_terms(state, batch, images)
            optimizer_step(state.optimizers.generators, weighted_sum(terms, weights))
        terms |= discriminator_phase(state, batch, images)
        translated = images.target

    terms |= task_phase(state, batch, translated)
    return {name: value.detach() for name, value in terms.items()}
