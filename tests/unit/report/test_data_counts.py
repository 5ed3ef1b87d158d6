from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from support.fake_run import make_splits

from adaptune.report.data_counts import part_table
from adaptune.results.folder import ResultsFolder
from adaptune.results.splits_manifest import write_or_verify


def test_the_parts_are_counted_from_the_record(tmp_path: Path) -> None:
    indices = {"source_train": np.arange(1400), "target_test": np.arange(12)}
    write_or_verify(replace(make_splits(), indices=indices), ResultsFolder(tmp_path))
    rows = part_table(ResultsFolder(tmp_path)).rows
    assert rows[:2] == [("source_train", "1,400"), ("target_test", "12")]
    assert rows[2][0] == "3 classes"


def test_without_a_record_there_is_no_table(tmp_path: Path) -> None:
    assert not part_table(ResultsFolder(tmp_path))
    (tmp_path / "splits.parquet").write_bytes(b"damaged")
    assert not part_table(ResultsFolder(tmp_path))
