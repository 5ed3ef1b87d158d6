"""Which sample went to which part of the data: written down once, and held to by every resume."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.data.splits import Splits
from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder, write_table

_DIGEST = b"adaptune:digest"


def write_or_verify(splits: Splits, folder: ResultsFolder) -> None:
    """Write `splits.parquet`: a row a sample, with its part and its place in the loaded domain.

    Raises:
        ResultsError: the search began with other images or labels than these.
    """
    digest = splits.digest().encode()
    if folder.splits.exists():
        if (pq.read_schema(folder.splits).metadata or {}).get(_DIGEST) != digest:
            raise ResultsError(
                f"{folder.path} holds a search of other images or labels under the same names: its trials cannot be"
                " compared with new ones; bring the data back, or give this search another --name"
            )
        return
    parts = [part for part, indices in splits.indices.items() for _ in indices]
    table = pa.table({"part": parts, "index": np.concatenate(list(splits.indices.values()))})
    write_table(folder.splits, table.replace_schema_metadata({_DIGEST: digest}))
