from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from adaptune.data.splits import Splits, load_splits
from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder
from adaptune.results.splits_manifest import write_or_verify
from adaptune.spec.data import DataSpec

DATA = {
    "source": {"domain": "mnist5k", "size": 16, "limit": 200},
    "target": {"domain": "optdigits", "size": 16},
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load_splits(DataSpec.model_validate(DATA), seed=0)


def test_every_sample_is_written_down_with_its_part(splits: Splits, tmp_path: Path) -> None:
    write_or_verify(splits, ResultsFolder(tmp_path))
    rows = pq.read_table(tmp_path / "splits.parquet").to_pylist()
    assert len(rows) == 200 + 1797
    for part, indices in splits.indices.items():
        assert [row["index"] for row in rows if row["part"] == part] == indices.tolist()


def test_a_resume_with_the_same_data_changes_nothing(splits: Splits, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    write_or_verify(splits, folder)
    before = folder.splits.read_bytes()
    write_or_verify(splits, folder)
    assert folder.splits.read_bytes() == before


def test_a_resume_with_another_label_is_refused(splits: Splits, tmp_path: Path) -> None:
    write_or_verify(splits, ResultsFolder(tmp_path))
    labels = np.roll(splits.trial.target_val_labels, 1)
    changed = replace(splits, trial=replace(splits.trial, target_val_labels=labels))
    with pytest.raises(ResultsError, match="other images or labels"):
        write_or_verify(changed, ResultsFolder(tmp_path))
