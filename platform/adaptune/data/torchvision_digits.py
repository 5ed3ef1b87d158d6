"""torchvision's digits: downloaded on first use, read offline after that.

Train splits only, for simplicity: adaptune splits for itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from adaptune.data.domain import DIGIT_NAMES, RawDomain
from adaptune.errors import DataError

MNIST_FILES = "train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files"


def mnist(root: Path) -> RawDomain:
    """60,000 MNIST digits, 28 × 28 grey."""
    data = _fetch(
        "MNIST", root, f"{MNIST_FILES} (unpacked) into {root / 'MNIST' / 'raw'}", train=True
    )
    return RawDomain(data.data.numpy(), data.targets.numpy().astype(np.int64), DIGIT_NAMES)


def usps(root: Path) -> RawDomain:
    """7,291 USPS digits, 16 × 16 grey."""
    data = _fetch("USPS", root, f"usps.bz2 into {root}", train=True)
    return RawDomain(data.data, np.asarray(data.targets, dtype=np.int64), DIGIT_NAMES)


def svhn(root: Path) -> RawDomain:
    """73,257 house-number digits, 32 × 32 RGB."""
    data = _fetch("SVHN", root, f"train_32x32.mat into {root}", split="train")
    return RawDomain(data.data.transpose(0, 2, 3, 1), data.labels.astype(np.int64), DIGIT_NAMES)


def _fetch(name: str, root: Path, where: str, **split: object) -> Any:
    from torchvision import datasets

    try:
        root.mkdir(parents=True, exist_ok=True)
        return getattr(datasets, name)(str(root), download=True, **split)
    # No connection, no right to write, or files cut short.
    except (OSError, RuntimeError, ValueError, EOFError, IndexError) as error:
        raise DataError(
            f"{name} could be neither read from {root} nor downloaded: {error}\nWithout a connection, put {where}."
        ) from error
