"""The types of arrays of images, labels, indices and masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8 | np.uint16]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
