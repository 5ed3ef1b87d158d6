"""The consistency term: f_T learns from its moving average, the teacher."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptune.losses.consistency import confident_labels, consistency_loss
from adaptune.training.augment.masking import draw_mask, mask_patches
from adaptune.training.distributed import rank
from adaptune.training.draws import Purpose
from adaptune.training.state import TrainingState
from adaptune.training.steps.augment import augmented
from adaptune.training.steps.optimization import LossTerms


def strong_view(state: TrainingState, target: Tensor) -> Tensor:
    """Change target images for f_T by `training.consistency`: (N, C, H, W) → the same shape."""
    spec = state.spec.training.consistency
    images = augmented(state, spec.augment, target, "strong-view")
    if not spec.mask:
        return images
    count = len(images)

    def draw(rng: torch.Generator) -> Tensor:
        batch_size = state.spec.training.batch_size
        of_batch = draw_mask(batch_size, rng, share=spec.mask, grid=spec.mask_grid)
        return of_batch[rank() * count :][:count]

    is_masked = state.drawn(Purpose("mask", settings=(spec.mask, spec.mask_grid)), draw)
    return mask_patches(images, is_masked)


def consistency_terms(state: TrainingState, logits: Tensor, weak_view: Tensor) -> LossTerms:
    """Compute the cross-entropy of f_T with the classes that the teacher is sure of.

    Args:
        logits: (N, K), f_T of the strong view.
        weak_view: target images, (N, C, H, W) in [-1, 1].

    Returns:
        `consistency`: the term, a scalar.
        `confident`: the share of images of which the teacher is sure, a scalar in [0, 1].
    """
    teacher = state.averages["f_t"].module
    with torch.no_grad():
        teacher_logits = teacher(weak_view)
    labels, is_confident = confident_labels(
        teacher_logits, state.spec.training.consistency.threshold
    )
    return {
        "consistency": consistency_loss(logits, labels, is_confident),
        "confident": is_confident.float().mean(),
    }
