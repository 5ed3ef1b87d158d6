"""One update of CycleGAN (Zhu et al. 2017), with a classifier that learns from its translations."""

from __future__ import annotations

from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.classifier import task_phase
from adaptune.training.steps.generators import gan_phase
from adaptune.training.steps.optimization import LossTerms


def cyclegan_step(state: TrainingState, batch: Batch) -> LossTerms:
    """Update G_st and G_ts, then D_s and D_t, then f_T ("pixel only" in the paper of CyCADA).

    A term of weight 0 is left out, together with its forward passes.

    Returns:
        Each term, unweighted and detached: a scalar over this worker's part of the batch.
    """
    terms, translated = gan_phase(state, batch)
    terms |= task_phase(state, batch, translated)
    return {name: value.detach() for name, value in terms.items()}
