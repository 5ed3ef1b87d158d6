"""Predictions of f_T for image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptune.artifacts.image_files import Notify, Paths, apply_to_files, image_files
from adaptune.artifacts.load import Export


@dataclass(frozen=True)
class Prediction:
    """The most probable class of an image.

    Attributes:
        path: the image file.
        class_name: one of the export's class names.
        probability: the class's softmax output in [0, 1]; it is not calibrated.
    """

    path: Path
    class_name: str
    probability: float


def predict(
    export: Export,
    paths: Paths,
    batch_size: int = 128,
    notify: Notify = lambda done, total: None,
) -> Iterator[Prediction]:
    """Classify image files with f_T, one prediction per file.

    Images are preprocessed like those of the target domain.

    Args:
        paths: image files, and folders whose images at any depth are classified.
        notify: called with the numbers of images that are done and of all.

    Raises:
        DataError: a path does not exist or a folder contains no image (raised by the call itself),
            or an image cannot be used (raised during iteration).
    """
    return _predictions(export, image_files(paths), batch_size, notify)


def _predictions(
    export: Export, files: Sequence[Path], batch_size: int, notify: Notify
) -> Iterator[Prediction]:
    batches = apply_to_files(
        export.classifier,
        files,
        export=export,
        role="target",
        batch_size=batch_size,
        notify=notify,
    )
    for batch_files, logits in batches:
        probabilities, labels = logits.softmax(dim=1).max(dim=1)
        rows = zip(batch_files, labels.tolist(), probabilities.tolist(), strict=True)
        for file, label, probability in rows:
            yield Prediction(file, export.class_names[label], probability)
