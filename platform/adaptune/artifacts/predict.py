"""The target classifier on image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adaptune.artifacts.image_files import batches, image_files
from adaptune.artifacts.load import Export


@dataclass(frozen=True)
class Prediction:
    """The likeliest class of an image, and its softmax probability (not calibrated)."""

    path: Path
    class_name: str
    probability: float


def predict(export: Export, paths: Sequence[Path], batch_size: int = 128) -> Iterator[Prediction]:
    """Classify image files, and all images in folders, prepared as the target domain's were.

    Raises:
        DataError: a path does not exist, at once; while iterating, an image that cannot be used.
    """
    return _predictions(export, image_files(paths), batch_size)


def _predictions(export: Export, files: Sequence[Path], batch_size: int) -> Iterator[Prediction]:
    for part, images in batches(export, files, "target", batch_size):
        with torch.no_grad():  # not around the yield: the caller's own code runs there
            probabilities, labels = export.classifier(images).softmax(dim=1).max(dim=1)
        for file, label, probability in zip(
            part, labels.tolist(), probabilities.tolist(), strict=True
        ):
            yield Prediction(file, export.class_names[label], probability)
