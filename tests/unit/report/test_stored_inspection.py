from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.fake_run import make_splits

from adaptune.report.data_findings import DataFinding
from adaptune.report.stored_inspection import (
    StoredInspection,
    read_inspection,
    write_inspection,
)
from adaptune.report.table import Table
from adaptune.results.folder import ResultsFolder
from adaptune.results.splits_manifest import stored_identity, write_or_verify

TABLE = Table(("class", "source"), [("cat", "12"), ("all", "12")])
INSPECTION = StoredInspection(
    findings=(DataFinding("fault", "1 image\nis copied."), DataFinding("warning", "Few images.")),
    leaks=("target_test a.png is in source_train: b.png (same file)",),
    counts=TABLE,
    stored=TABLE,
    statistics=TABLE,
)


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """The results folder of a search whose trials have begun."""
    folder = ResultsFolder(tmp_path / "results" / "small")
    folder.path.mkdir(parents=True)
    indices = {"target_test": np.arange(12)}
    write_or_verify(replace(make_splits(), indices=indices), folder)
    return folder


def test_a_search_finds_the_inspection_of_its_data(folder: ResultsFolder) -> None:
    assert read_inspection(folder) is None
    file = folder.inspection(stored_identity(folder).digest)
    write_inspection(INSPECTION, file)
    assert file.parent == folder.path.parent / ".cache"
    assert read_inspection(folder) == INSPECTION
    assert INSPECTION.faults == ["1 image\nis copied."]
    folder.splits.unlink()
    assert read_inspection(folder) is None


def test_the_inspection_of_other_data_is_not_found(folder: ResultsFolder) -> None:
    write_inspection(INSPECTION, folder.inspection("0" * 64))
    assert read_inspection(folder) is None


@pytest.mark.parametrize("text", ["", "{}", INSPECTION.model_dump_json().replace(":2,", ":1,", 1)])
def test_a_file_that_is_damaged_or_of_another_format_is_none(
    folder: ResultsFolder, text: str
) -> None:
    file = folder.inspection(stored_identity(folder).digest)
    file.parent.mkdir()
    file.write_text(text)
    assert read_inspection(folder) is None
