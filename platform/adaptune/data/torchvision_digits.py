"""Loaders of torchvision's digits, which are downloaded on first use and read offline afterwards.

A domain is the training split of a data set. Its test split is a domain of its own, for comparisons
with published figures (`data.target.test`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from adaptune.data.domain import DIGIT_NAMES, LoadRequest, RawDomain
from adaptune.errors import DataError

# Seconds without a byte from a server, after which a download fails; torchvision sets no bound.
TIMEOUT_S = 60.0
_MNIST_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_MNIST_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
# torchvision raises these for a file that was truncated, or is of another format.
_DAMAGED = (AssertionError, EOFError, IndexError, RuntimeError, ValueError)

Dataset = TypeVar("Dataset")


def mnist(request: LoadRequest) -> RawDomain:
    """Load the 60,000 MNIST digits of the training split: uint8 (60000, 28, 28)."""
    return _mnist(request, train=True)


def mnist_test(request: LoadRequest) -> RawDomain:
    """Load the 10,000 MNIST digits of the test split: uint8 (10000, 28, 28)."""
    return _mnist(request, train=False)


def usps(request: LoadRequest) -> RawDomain:
    """Load the 7,291 USPS digits of the training split: uint8 (7291, 16, 16)."""
    return _usps(request, "usps.bz2", train=True)


def usps_test(request: LoadRequest) -> RawDomain:
    """Load the 2,007 USPS digits of the test split: uint8 (2007, 16, 16)."""
    return _usps(request, "usps.t.bz2", train=False)


def svhn(request: LoadRequest) -> RawDomain:
    """Load the 73,257 house-number digits of the training split: uint8 (73257, 32, 32, 3)."""
    return _svhn(request, "train")


def svhn_test(request: LoadRequest) -> RawDomain:
    """Load the 26,032 house-number digits of the test split: uint8 (26032, 32, 32, 3)."""
    return _svhn(request, "test")


def _mnist(request: LoadRequest, train: bool) -> RawDomain:
    from torchvision.datasets import MNIST

    def load(download: bool) -> MNIST:
        return MNIST(str(request.root), download=download, train=train)

    folder = request.root / "MNIST" / "raw"
    files = "train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files (unpacked)"
    with _explain_failure("MNIST", request.root, files, folder):
        read_names, other_names = _MNIST_TRAIN, _MNIST_TEST
        if not train:
            read_names, other_names = other_names, read_names
        read_files = [folder / name for name in read_names]
        other_files = [folder / name for name in other_names]
        data = _read_or_download(load, read_files, other_files)
    labels = data.targets.numpy().astype(np.int64)
    return RawDomain(data.data.numpy(), labels, DIGIT_NAMES)


def _usps(request: LoadRequest, file: str, train: bool) -> RawDomain:
    from torchvision.datasets import USPS

    def load(download: bool) -> USPS:
        return USPS(str(request.root), download=download, train=train)

    with _explain_failure("USPS", request.root, file, request.root):
        data = _read_or_download(load, read_files=[request.root / file])
    return RawDomain(data.data, np.asarray(data.targets, dtype=np.int64), DIGIT_NAMES)


def _svhn(request: LoadRequest, split: str) -> RawDomain:
    from torchvision.datasets import SVHN

    explained = _explain_failure("SVHN", request.root, f"{split}_32x32.mat", request.root)
    # torchvision compares the file's hash, and downloads a damaged file again.
    with explained, _socket_timeout(TIMEOUT_S):
        data = SVHN(str(request.root), download=True, split=split)
    images = data.data.transpose(0, 2, 3, 1)
    return RawDomain(images, data.labels.astype(np.int64), DIGIT_NAMES)


def _read_or_download(
    load: Callable[[bool], Dataset], read_files: Sequence[Path], other_files: Sequence[Path] = ()
) -> Dataset:
    """Read a data set if its files are there; otherwise, or if they are damaged, download it.

    Damaged files, which a kill during a download leaves, are kept as `<name>.damaged`.

    Args:
        load: reads the data set, after a download of missing files if its argument is True.
        read_files: the files that are read.
        other_files: further files that torchvision requires.
    """
    if all(file.is_file() for file in [*read_files, *other_files]):
        try:
            return load(False)
        except (*_DAMAGED, OSError) as error:
            # bz2 raises an OSError without a number for a damaged file.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            for file in read_files:
                os.replace(file, file.with_name(file.name + ".damaged"))
    with _socket_timeout(TIMEOUT_S):
        return load(True)


@contextmanager
def _socket_timeout(timeout_s: float) -> Iterator[None]:
    """Bound the time that new connections of this process wait for each byte."""
    earlier = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_s)
    try:
        yield
    finally:
        socket.setdefaulttimeout(earlier)


@contextmanager
def _explain_failure(name: str, root: Path, files: str, folder: Path) -> Iterator[None]:
    """Raise a DataError that names `files` and their `folder` if the data set cannot be had."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield
    # The connection fails or is silent, a permission is missing, or files are damaged.
    except (OSError, *_DAMAGED) as error:
        raise DataError(
            f"{name} could be neither read from {root} nor downloaded: {error}\n"
            f"Try again; or, without a connection, put {files} into {folder}."
        ) from error
