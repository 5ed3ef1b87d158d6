"""What a loader gives (`RawDomain`) and what the rest of adaptune sees (`Domain`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]

UNLABELLED = -1
DIGIT_NAMES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class Domain:
    """A data set in the common form.

    Attributes:
        images: uint8 [N, C, H, W], 0 to 255.
        labels: int64 [N], an index into `class_names`; -1 where unknown.
        class_names: empty where no sample is labelled.
    """

    name: str
    images: Images
    labels: Labels
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class RawDomain:
    """A data set as it lies on the disk; images are HW or HWC, uint8, of any sizes.

    A list holds one decoder an image, so that only those that are kept are ever decoded.
    """

    images: Images | Sequence[Callable[[], Images]]
    labels: Labels
    class_names: tuple[str, ...]

    def take(self, indices: Indices) -> Images | Iterator[Images]:
        """The images at `indices`; each is decoded only when its turn comes."""
        if isinstance(self.images, np.ndarray):
            return self.images[indices]
        decoders = self.images
        return (decoders[index]() for index in indices)
