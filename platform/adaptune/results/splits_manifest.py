"""The record of which sample belongs to which part of the data."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.data.splits import Splits
from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder, write_table

_DIGEST = b"adaptune:digest"


def write_or_verify(splits: Splits, folder: ResultsFolder) -> None:
    """Write `splits.parquet`, or compare the data with it in a resumed search.

    The table has one row per sample: its part, and its index in the loaded domain.

    Raises:
        ResultsError: the search began with other images or labels.
    """
    digest = splits.digest().encode()
    if not folder.splits.exists():
        _write(splits, digest, folder)
        return
    metadata = pq.read_schema(folder.splits).metadata or {}
    if metadata.get(_DIGEST) != digest:
        raise ResultsError(
            f"{folder.path} holds a search of other images or labels under the same names: its"
            " trials cannot be compared with new ones; restore the data, or give this search"
            " another --name"
        )


def _write(splits: Splits, digest: bytes, folder: ResultsFolder) -> None:
    parts = []
    for part, indices in splits.indices.items():
        parts += [part] * len(indices)
    indices = np.concatenate(list(splits.indices.values()))
    table = pa.table({"part": parts, "index": indices})
    write_table(folder.splits, table.replace_schema_metadata({_DIGEST: digest}))
