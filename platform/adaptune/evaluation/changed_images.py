"""Images of the held-out test set that became right or wrong by the adaptation.

They are stored when a model is evaluated, because the test is not evaluated again for them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.data.array_types import Indices, Labels
from adaptune.data.image_set import ImageSet
from adaptune.results.folder import FORMAT, FORMAT_KEY, write_table
from adaptune.results.image_strips import image_strip
from adaptune.training.metrics import Predictions

MOST_SHOWN = 12  # images that are kept of those that became wrong, and of those that became right
_MODEL = b"adaptune:model"
_WRONG = b"adaptune:became_wrong"
_RIGHT = b"adaptune:became_right"
_SCHEMA = pa.schema(
    {
        "index": pa.int64(),
        "label": pa.string(),
        "before": pa.string(),
        "after": pa.string(),
        "picture": pa.binary(),
    }
)


@dataclass(frozen=True)
class ChangedImage:
    """An image that either f_S or the adapted f_T classifies right.

    Attributes:
        index: its place in target_test.
        label: its class.
        before: class that *source only* predicts.
        after: class that f_T predicts.
        picture: the image as PNG or JPEG, at most 64 px wide.
    """

    index: int
    label: str
    before: str
    after: str
    picture: bytes

    @property
    def is_right(self) -> bool:
        """True if f_T classifies it right."""
        return self.after == self.label


@dataclass(frozen=True)
class ChangedImages:
    """Images that became right or wrong by the adaptation.

    Attributes:
        model: the model that was evaluated, as `model_name` describes it.
        became_wrong: number of images that f_S classifies right, and f_T wrong.
        became_right: number of images that f_S classifies wrong, and f_T right.
        images: some of both kinds, by class.
    """

    model: str
    became_wrong: int
    became_right: int
    images: tuple[ChangedImage, ...]


def find_changed_images(
    model: str, before: Predictions, after: Predictions, images: ImageSet
) -> ChangedImages:
    """Return how many images changed, and at most `MOST_SHOWN` of each kind.

    The same predictions give the same images: the first of each class, then the second, ….

    Args:
        model: the model that was evaluated, as `model_name` describes it.
        before: predictions of f_S for N images.
        after: predictions of f_T for the same images.
        images: the N images.
    """
    wrong = before.hits & ~after.hits
    right = ~before.hits & after.hits
    shown = np.concatenate([_some(wrong, after.labels), _some(right, after.labels)])
    names = after.class_names
    changed = []
    for index, pixels in zip(shown.tolist(), images.take(shown), strict=True):
        changed.append(
            ChangedImage(
                index=index,
                label=names[after.labels[index]],
                before=names[before.predicted[index]],
                after=names[after.predicted[index]],
                picture=image_strip([pixels]),
            )
        )
    return ChangedImages(model, int(wrong.sum()), int(right.sum()), tuple(changed))


def write_changed_images(changed: ChangedImages, path: Path) -> None:
    """Write the images, one row each.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [asdict(image) for image in changed.images]
    metadata = {
        _MODEL: changed.model.encode(),
        _WRONG: str(changed.became_wrong).encode(),
        _RIGHT: str(changed.became_right).encode(),
    }
    write_table(path, pa.Table.from_pylist(rows, _SCHEMA.with_metadata(metadata)))


def read_changed_images(path: Path) -> ChangedImages | None:
    """Return the images of a search; None if the file is missing, damaged or of another format."""
    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata or {}
        if metadata.get(FORMAT_KEY) != str(FORMAT).encode():
            return None
        return ChangedImages(
            model=metadata[_MODEL].decode(),
            became_wrong=int(metadata[_WRONG]),
            became_right=int(metadata[_RIGHT]),
            images=tuple(ChangedImage(**row) for row in table.to_pylist()),
        )
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None


def _some(kind: npt.NDArray[np.bool_], labels: Labels) -> Indices:
    """Return the indices of images of a kind, bool (N,), from all classes in turn, by class."""
    indices = np.flatnonzero(kind)
    of_kind = labels[indices]
    turns = np.zeros(len(indices), dtype=np.int64)
    for label in np.unique(of_kind):
        members = of_kind == label
        turns[members] = np.arange(members.sum())
    chosen = indices[np.lexsort((of_kind, turns))[:MOST_SHOWN]]
    ordered: Indices = chosen[np.lexsort((chosen, labels[chosen]))]
    return ordered
