"""Predictions of f_T for image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from adaptune.artifacts.image_files import BadImage, Paths, image_files, in_batches, read_images
from adaptune.artifacts.load import Export
from adaptune.data.domain import Decoding
from adaptune.data.preprocessing import decode, images_of_any_size
from adaptune.errors import DataError
from adaptune.training.inference import inference_batch_size


@dataclass(frozen=True)
class Prediction:
    """The most probable class of an image.

    Attributes:
        path: the image file.
        class_name: one of the export's class names.
        probability: the class's softmax output in [0, 1]; it is not calibrated.
        calibrated_probability: the probability that is calibrated for the target, in [0, 1]; None
            if the export has no calibration.
        accepted: False if the classifier should abstain, because the calibrated probability is
            below the threshold of the export; None if it has none.
    """

    path: Path
    class_name: str
    probability: float
    calibrated_probability: float | None = None
    accepted: bool | None = None


def predict(
    export: Export,
    paths: Paths,
    batch_size: int = 128,
    *,
    on_bad_image: BadImage | None = None,
) -> Iterator[Prediction]:
    """Classify image files with f_T, one prediction per file.

    Images are preprocessed like those of the target domain.

    Args:
        paths: image files, and folders whose images at any depth are classified.
        batch_size: images per batch, or fewer if they are large.
        on_bad_image: called with the error of an image that cannot be used, which is then passed
            over. With None, the error is raised during iteration.

    Raises:
        DataError: a path does not exist or a folder contains no image (raised by the call itself),
            or an image cannot be used.
    """
    files = image_files(paths)
    domain = export.domains["target"]
    batch_size = min(batch_size, inference_batch_size(domain.size))

    def predictions() -> Iterator[Prediction]:
        images = (
            (file.path, export.transform(pixels[None], "target"))
            for file, pixels in read_images(files, domain, on_bad_image)
        )
        for batch in in_batches(images, batch_size):
            paths, tensors = zip(*batch, strict=True)
            yield from _classify(export, paths, torch.cat(tensors))

    return predictions()


def classify_encoded(export: Export, images: Sequence[bytes]) -> list[dict[str, object]]:
    """Classify the contents of image files, for a service.

    Returns:
        For each image, `class`, `probability`, `calibrated_probability` and `accepted`, as in
        `Prediction`; or `error` for one that cannot be used.
    """
    domain = export.domains["target"]
    answers: list[dict[str, object]] = [{} for _ in images]

    def prepared() -> Iterator[tuple[int, Tensor]]:
        for index, content in enumerate(images):
            try:
                with images_of_any_size():
                    pixels = decode(content, f"image {index}", Decoding.of(domain))
                yield index, export.transform([pixels], "target")
            except DataError as error:
                answers[index] = {"error": str(error)}

    for batch in in_batches(prepared(), inference_batch_size(domain.size)):
        indices, tensors = zip(*batch, strict=True)
        paths = [Path(str(index)) for index in indices]
        for index, prediction in zip(
            indices, _classify(export, paths, torch.cat(tensors)), strict=True
        ):
            answers[index] = {
                "class": prediction.class_name,
                "probability": prediction.probability,
                "calibrated_probability": prediction.calibrated_probability,
                "accepted": prediction.accepted,
            }
    return answers


def _classify(export: Export, paths: Sequence[Path], images: Tensor) -> Iterator[Prediction]:
    calibration = export.config.calibration
    with torch.no_grad():
        logits = export.classifier(images)
    probabilities, labels = logits.softmax(dim=1).max(dim=1)
    rows = zip(paths, labels.tolist(), probabilities.tolist(), strict=True)
    if calibration is None:
        for path, label, probability in rows:
            yield Prediction(path, export.class_names[label], probability)
        return
    calibrated = (logits / calibration.temperature).softmax(dim=1).amax(dim=1).tolist()
    for (path, label, probability), confidence in zip(rows, calibrated, strict=True):
        accepted = None
        if calibration.threshold is not None:
            accepted = confidence >= calibration.threshold
        yield Prediction(path, export.class_names[label], probability, confidence, accepted)
