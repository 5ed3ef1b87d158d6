"""The parts of the data of a search, from its record."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.errors import ResultsError
from adaptune.report.table import Table
from adaptune.results.folder import ResultsFolder
from adaptune.results.splits_manifest import stored_class_names
from adaptune.text import escape_control


def part_table(folder: ResultsFolder) -> Table:
    """Return the number of samples in each part, and the classes; empty if there is no record."""
    try:
        parts = pq.read_table(folder.splits, columns=["part"]).column("part").to_pylist()
        classes = stored_class_names(folder)
    except (OSError, pa.ArrowException, ResultsError):  # the trials have not begun
        return Table((), [])
    rows = [(part, f"{count:,}") for part, count in Counter(parts).items()]
    rows.append((f"{len(classes)} classes", escape_control(", ".join(classes))))
    return Table(("part", "samples"), rows)
