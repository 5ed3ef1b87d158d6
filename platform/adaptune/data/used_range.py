"""Search for domains of 16 bits that use a small part of the range of values."""

from __future__ import annotations

import joblib
import numpy as np

from adaptune.data.domain import ImageSource
from adaptune.data.preprocessing import images_of_any_size
from adaptune.data.processes import in_processes
from adaptune.data.undecoded import UndecodedDomain
from adaptune.data.value_range import UsedRange
from adaptune.errors import DataError

_PROBES = 16
_LEAST_PER_PROCESS = 256


def range_note(undecoded: UndecodedDomain) -> str | None:
    """Return a remark if a domain uses less than a tenth of 16 bits, otherwise None.

    Some of the images decide whether all of them have to be read. Nothing is remarked on a domain
    with a `value_range`.
    """
    source = undecoded.raw.images
    if isinstance(source, np.ndarray) or undecoded.spec.value_range is not None:
        return None
    indices = undecoded.indices
    probes = indices[:: max(1, len(indices) // _PROBES)]
    if _used_range(source.subset(probes)).note() is None:
        return None
    workers = min(joblib.cpu_count(), 1 + len(indices) // _LEAST_PER_PROCESS)
    parts = [source.subset(part) for part in np.array_split(indices, workers)]
    used = UsedRange()
    for used_by_part in in_processes(_used_range, parts, workers):
        used.include(used_by_part)
    return used.note()


def _used_range(source: ImageSource) -> UsedRange:
    """Return the range of the images that can be read."""
    used = UsedRange()
    with images_of_any_size():
        for image in source.read(np.arange(len(source))):
            if not isinstance(image, DataError):
                used.add(image.pixels)
    return used
