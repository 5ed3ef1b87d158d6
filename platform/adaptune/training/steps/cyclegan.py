"""One update of CycleGAN (Zhu et al. 2017), with a classifier that learns from its translations."""

from __future__ import annotations

from collections.abc import Sequence

from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.classifier import task_phase
from adaptune.training.steps.generators import gan_phase
from adaptune.training.steps.optimization import LossTerms, detached


def cyclegan_step(group: Sequence[TrainingState], batch: Batch) -> list[LossTerms]:
    """Update G_st and G_ts, then D_s and D_t, then each f_T ("pixel only" in the paper of CyCADA).

    A term of weight 0 is left out, together with its forward passes.

    Args:
        group: the trials that share G_st, G_ts, D_s and D_t.

    Returns:
        The terms of each trial, unweighted and detached: scalars over this worker's part of the
        batch.
    """
    gan_terms, translated = gan_phase(group[0], batch)
    all_terms = []
    for state in group:
        terms = dict(gan_terms)
        if state.trains_classifier:
            terms |= task_phase(state, batch, translated)
        all_terms.append(detached(terms))
    return all_terms
