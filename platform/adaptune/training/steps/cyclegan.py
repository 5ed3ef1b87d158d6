"""One update of CycleGAN (Zhu et al. 2017), with a classifier that learns from its translations."""

from __future__ import annotations

from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.classifier import task_phase
from adaptune.training.steps.generators import discriminator_phase, generator_phase
from adaptune.training.steps.optimization import LossTerms


def cyclegan_step(state: TrainingState, batch: Batch) -> LossTerms:
    """Update G_st and G_ts, then D_s and D_t, then f_T ("pixel only" in the paper of CyCADA).

    A term of weight 0 is left out, together with its forward passes.

    Returns:
        Each term, unweighted and detached: a scalar over this worker's part of the batch.
    """
    weights = state.spec.loss_weights
    terms: LossTerms = {}

    # Without a term that trains the generators, f_T is trained on the source images themselves.
    translated = batch.source
    if weights.adversarial or weights.cycle or weights.identity:
        generator_terms, images = generator_phase(state, batch)
        terms |= generator_terms
        terms |= discriminator_phase(state, batch, images)
        translated = images.source

    terms |= task_phase(state, batch, translated)
    return {name: value.detach() for name, value in terms.items()}
