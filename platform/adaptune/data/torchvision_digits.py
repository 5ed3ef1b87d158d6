"""Loaders of torchvision's digits, which are downloaded on first use and read offline afterwards.

They load the training splits only: adaptune makes its own splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from adaptune.data.domain import DIGIT_NAMES, LoadRequest, RawDomain
from adaptune.errors import DataError


def mnist(request: LoadRequest) -> RawDomain:
    """Load 60,000 MNIST digits: uint8 (60000, 28, 28)."""
    from torchvision.datasets import MNIST

    files = "train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files (unpacked)"
    with _explain_failure("MNIST", request.root, files, request.root / "MNIST" / "raw"):
        data = MNIST(str(request.root), download=True, train=True)
    labels = data.targets.numpy().astype(np.int64)
    return RawDomain(data.data.numpy(), labels, DIGIT_NAMES)


def usps(request: LoadRequest) -> RawDomain:
    """Load 7,291 USPS digits: uint8 (7291, 16, 16)."""
    from torchvision.datasets import USPS

    with _explain_failure("USPS", request.root, "usps.bz2", request.root):
        data = USPS(str(request.root), download=True, train=True)
    return RawDomain(data.data, np.asarray(data.targets, dtype=np.int64), DIGIT_NAMES)


def svhn(request: LoadRequest) -> RawDomain:
    """Load 73,257 house-number digits: uint8 (73257, 32, 32, 3)."""
    from torchvision.datasets import SVHN

    with _explain_failure("SVHN", request.root, "train_32x32.mat", request.root):
        data = SVHN(str(request.root), download=True, split="train")
    images = data.data.transpose(0, 2, 3, 1)
    return RawDomain(images, data.labels.astype(np.int64), DIGIT_NAMES)


@contextmanager
def _explain_failure(name: str, root: Path, files: str, folder: Path) -> Iterator[None]:
    """Raise a DataError that names `files` and their `folder` if the data set cannot be had."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield
    # The connection fails, a permission is missing, or files are truncated.
    except (OSError, RuntimeError, ValueError, EOFError, IndexError) as error:
        raise DataError(
            f"{name} could be neither read from {root} nor downloaded: {error}\n"
            f"Without a connection, put {files} into {folder}."
        ) from error
