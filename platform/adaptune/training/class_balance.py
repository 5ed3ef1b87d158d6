"""The option to draw each class of the labelled images equally often."""

from __future__ import annotations

from torch import Tensor

from adaptune.data.device_images import DeviceImages
from adaptune.spec.schema import TrialSpec


def balanced_labels(spec: TrialSpec, images: DeviceImages) -> Tensor | None:
    """Return the labels by which `UnpairedSampler` balances the classes, int64 (N,), or None."""
    return images.labels if spec.training.source_sampling == "balanced" else None
