"""One update of CyCADA (Hoffman et al. 2018), with adaptation at pixel and feature level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from adaptune.losses.classification import semantic_loss
from adaptune.losses.consistency import confident_labels
from adaptune.training.distributed import all_reduce_mean
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.classifier import adaptation_phase
from adaptune.training.steps.generators import Translations, gan_phase
from adaptune.training.steps.optimization import LossTerms, detached


def cycada_step(group: Sequence[TrainingState], batch: Batch) -> list[LossTerms]:
    """Update G_st and G_ts, then D_s and D_t, then D_feat and f_T of each trial (eq. 5).

    A term of weight 0 is left out, together with its forward passes.

    Args:
        group: the trials that share G_st, G_ts, D_s and D_t.

    Returns:
        The terms of each trial, unweighted and detached: scalars over this worker's part of the
        batch.
    """
    first = group[0]
    has_semantic_term = first.spec.has_semantic_term
    if has_semantic_term and first.spec.training.semantic_target_labels == "adapted":
        batch = replace(batch, semantic_target=adapted_labels(first, batch))
    gan_terms, translated = gan_phase(first, batch, semantic_term if has_semantic_term else None)
    all_terms = []
    for state in group:
        terms = dict(gan_terms)
        if state.trains_classifier:
            terms |= adaptation_phase(state, batch, translated)
        if "task" in terms:
            update_semantic_gate(state, terms["task"])
        all_terms.append(detached(terms))
    return all_terms


def semantic_term(state: TrainingState, batch: Batch, images: Translations) -> Tensor:
    """Compute the semantic term of both directions, a scalar (eq. 4).

    f_S should classify a translation as it classified the image before.
    """
    assert batch.semantic_source is not None
    assert batch.semantic_target is not None
    f_s = state.networks.f_s
    factor = state.spec.training.target_to_source.semantic
    if not factor:
        return semantic_loss(f_s(images.source_translated), batch.semantic_source)
    # One call is exact, because f_S is in eval mode.
    logits = f_s(torch.cat([images.source_translated, images.target_translated]))
    source_logits, target_logits = logits.split([len(batch.source), len(batch.target)])
    source_to_target = semantic_loss(source_logits, batch.semantic_source)
    target_to_source = semantic_loss(target_logits, batch.semantic_target)
    return source_to_target + factor * target_to_source


@torch.no_grad()
def adapted_labels(state: TrainingState, batch: Batch) -> Tensor:
    """Return the labels that G_ts(x_t) should keep, from f_T's moving average: int64 (N,).

    They are those of f_S where the average is not confident.
    """
    assert batch.semantic_target is not None
    logits = state.eval_network("f_t")(batch.target).float()
    labels, is_confident = confident_labels(logits, state.spec.training.semantic_confidence)
    return torch.where(is_confident, labels, batch.semantic_target)


def update_semantic_gate(state: TrainingState, task: Tensor) -> None:
    """Open the semantic gate for good once the task term of f_T is low enough.

    Args:
        task: the unweighted task term of this worker, a scalar. The mean over all workers decides.
    """
    threshold = state.spec.training.semantic_gate
    if threshold is not None:
        low_enough = (all_reduce_mean(task.detach()) <= threshold).float()
        # In place: a graph of the step, once captured, keeps reading this tensor.
        torch.maximum(state.semantic_open, low_enough, out=state.semantic_open)
