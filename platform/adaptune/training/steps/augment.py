"""Random changes of the images of an update, the same for any number of workers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.differentiable import change_images, draw_changes
from adaptune.training.augment.images import (
    Augmentation,
    apply_augmentation,
    sample_augmentation,
)
from adaptune.training.distributed import rank, world_size
from adaptune.training.draws import Purpose
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch


def augmented(state: TrainingState, spec: AugmentSpec, images: Tensor, purpose: str) -> Tensor:
    """Change this worker's part of a batch: (N, C, H, W) in [-1, 1] → the same.

    All workers sample the changes of the global batch, so that their number changes no result.

    Args:
        spec: changes to make.
        purpose: name of the random stream.
    """
    if not spec.is_active:
        return images
    count = len(images)
    channels = images.shape[1]

    def sample(rng: torch.Generator) -> Augmentation:
        batch = sample_augmentation(spec, channels, state.spec.training.batch_size, rng)
        return batch.rows(rank() * count, count)

    changes = state.drawn(Purpose(purpose, settings=spec), sample)
    return apply_augmentation(images, changes)


def augmented_batch(state: TrainingState, batch: Batch) -> Batch:
    """Return the batch with the changes of `training.gan_augment`; labels stay with their images.

    Source and target images, (N, C, H, W) each, have draws of their own.
    """
    if not state.spec.training.gan_augment.is_active:
        return batch
    spec = state.spec.training.gan_augment.as_augment()
    return replace(
        batch,
        source=augmented(state, spec, batch.source, "gan-augment-source"),
        target=augmented(state, spec, batch.target, "gan-augment-target"),
    )


def discriminator_input(
    state: TrainingState, images: Tensor, purpose: str, first: int = 0
) -> Tensor:
    """Return images as D_s or D_t gets them: (N, C, H, W) → the same, with gradients.

    `training.d_augment` changes them. All workers sample the changes of the global batch.

    Args:
        purpose: name of the random stream.
        first: place of the first image in this worker's part of the update.
    """
    spec = state.spec.training.d_augment
    if not spec.is_active:
        return images
    batch_size = state.spec.training.batch_size
    share = batch_size // world_size()

    def draw(rng: torch.Generator) -> Tensor:
        return draw_changes(batch_size, rng)[rank() * share :][:share]

    draws = state.drawn(Purpose(f"d-augment-{purpose}"), draw)
    return change_images(spec, images, draws[first : first + len(images)])
