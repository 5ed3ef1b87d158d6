"""Test images that became right or wrong by the adaptation, as pictures of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptune.evaluation.changed_images import ChangedImage, read_changed_images
from adaptune.evaluation.summary import Summary
from adaptune.evaluation.test_scores import model_name
from adaptune.results.folder import ResultsFolder
from adaptune.results.image_strips import picture_uri
from adaptune.text import escape_control


@dataclass(frozen=True)
class ChangedPicture:
    """A test image with its class and both predictions.

    Attributes:
        uri: the image as a data URI.
        label: its class.
        before: class that *source only* predicts.
        after: class that the adapted f_T predicts.
    """

    uri: str
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class ChangedPictures:
    """Test images that changed in one direction.

    Attributes:
        title: the direction in words.
        count: number of images.
        pictures: some of them.
    """

    title: str
    count: int
    pictures: list[ChangedPicture]


def changed_pictures(folder: ResultsFolder, summary: Summary) -> list[ChangedPictures]:
    """Return the images that became wrong and those that became right.

    Returns:
        Nothing if the images of the exported model are not stored.
    """
    changed = read_changed_images(folder.changed_images)
    if changed is None or summary.best_trial is None or summary.best_epoch is None:
        return []
    if changed.model != model_name(summary.best_trial, summary.best_epoch):
        return []
    wrong = [image for image in changed.images if not image.is_right]
    right = [image for image in changed.images if image.is_right]
    return [
        ChangedPictures("right before, wrong after", changed.became_wrong, _pictures(wrong)),
        ChangedPictures("wrong before, right after", changed.became_right, _pictures(right)),
    ]


def _pictures(images: Sequence[ChangedImage]) -> list[ChangedPicture]:
    pictures = []
    for image in images:
        names = [escape_control(name) for name in (image.label, image.before, image.after)]
        pictures.append(ChangedPicture(picture_uri(image.picture), *names))
    return pictures
