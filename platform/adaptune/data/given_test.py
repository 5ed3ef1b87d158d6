"""A held-out test set that the user names (`data.target.test`), joined to the target.

The parts of the target are indices into one domain. So the samples of the test follow those of the
domain, and `RawDomain.test_start` tells them apart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptune.data.array_types import Images, Labels
from adaptune.data.class_names import list_names
from adaptune.data.domain import UNLABELLED, ImageSource, RawDomain
from adaptune.data.image_files import ImageFiles
from adaptune.data.undecoded import UndecodedDomain
from adaptune.errors import DataError


def with_test(target: UndecodedDomain, test: UndecodedDomain) -> UndecodedDomain:
    """Return a target whose last samples are a held-out test set.

    Args:
        target: the samples for training and validation, N of them.
        test: the samples of the test; their images have the form of those of the target.

    Raises:
        DataError: the target has no labels, a sample of the test has none or is of a class that the
            target does not have, or the images of both cannot be in one domain.
    """
    count = len(target.raw.labels)
    raw = RawDomain(
        images=_joined_images(target, test),
        labels=np.concatenate([target.raw.labels, _labels(target, test)]),
        class_names=target.raw.class_names,
        notes=(*target.raw.notes, *test.raw.notes),
        test_start=count,
    )
    indices = np.concatenate([target.indices, test.indices + count])
    return replace(target, raw=raw, indices=indices)


def _labels(target: UndecodedDomain, test: UndecodedDomain) -> Labels:
    """Return the labels of the test as indices into the class names of the target."""
    names = target.raw.class_names
    target_name = target.spec.domain
    test_name = test.spec.domain
    if not names:
        raise DataError(
            f"target {target_name} has no labels, so that it cannot be compared with the test"
            f" {test_name}: label some of its samples, or set data.target.test to null and score"
            " the export with `adaptune evaluate`"
        )
    unlabelled = int((test.raw.labels == UNLABELLED).sum())
    if unlabelled:
        raise DataError(
            f"data.target.test {test_name}: {unlabelled} of {len(test.raw.labels)} samples have no"
            " label; every sample of a test needs one"
        )
    extra = [name for name in test.raw.class_names if name not in names]
    if extra:
        raise DataError(
            f"data.target.test {test_name} has classes that the target {target_name} does not"
            f" have: {list_names(extra)}; rename or remove them"
        )
    table = np.array([names.index(name) for name in test.raw.class_names], dtype=np.int64)
    return table[test.raw.labels]


def _joined_images(target: UndecodedDomain, test: UndecodedDomain) -> Images | ImageSource:
    first = target.raw.images
    second = test.raw.images
    if isinstance(first, ImageFiles) and isinstance(second, ImageFiles):
        return ImageFiles(first.paths + second.paths, first.decoding)
    # Images that are generated are identified by what they are made of, not by their pixels.
    is_generated = target.raw.stored is not None or test.raw.stored is not None
    if (
        isinstance(first, np.ndarray)
        and isinstance(second, np.ndarray)
        and first.shape[1:] == second.shape[1:]
        and not is_generated
    ):
        joined: Images = np.concatenate([first, second])
        return joined
    raise DataError(
        f"data.target.test: {test.spec.domain} cannot be the test of {target.spec.domain}. A test"
        " is a split of the same data set, such as usps:test for usps, or an image folder or image"
        " list for an image folder or image list"
    )
