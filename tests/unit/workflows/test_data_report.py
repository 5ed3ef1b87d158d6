from __future__ import annotations

from pathlib import Path

import pytest
from support.inspected import write_faulty_space, write_sound_space

from adaptune.data.splits import load_splits
from adaptune.errors import ResultsError
from adaptune.report.stored_inspection import read_inspection
from adaptune.results.folder import results_folder
from adaptune.results.splits_manifest import write_or_verify
from adaptune.spec import load_spec
from adaptune.workflows.data_report import inspect_data


def test_the_report_has_everything_that_a_terminal_shows(tmp_path: Path) -> None:
    report = inspect_data(load_spec(write_faulty_space(tmp_path)))
    assert report.has_fault
    exact, near = report.leaks
    assert exact.startswith("target_test ")
    assert exact.endswith(" is in source_train: bar/004.jpg (same file)")
    assert "circle/009.jpg (0.9" in near
    assert report.counts.rows[-1][0] == "all"
    (message,) = report.unreadable
    assert "square/011.jpg cannot be read" in message
    assert not (tmp_path / "results").exists()


def test_the_page_is_beside_the_results_or_where_it_is_wanted(tmp_path: Path) -> None:
    report = inspect_data(load_spec(write_sound_space(tmp_path)))
    assert not report.has_fault
    assert report.write_page() == tmp_path / "results" / "textured-data.html"
    file = tmp_path / "pages" / "data.html"
    assert report.write_page(file) == file
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_findings_are_kept_for_reports_of_the_same_data(tmp_path: Path) -> None:
    spec = load_spec(write_sound_space(tmp_path))
    report = inspect_data(spec)
    assert report.store()
    folder = results_folder("a-search", spec.storage)
    folder.path.mkdir()
    write_or_verify(load_splits(spec.data, spec.seed), folder)
    inspection = read_inspection(folder)
    assert inspection is not None
    assert list(inspection.findings) == report.findings
    assert inspection.counts.rows == report.counts.rows


def test_findings_of_no_use_or_without_room_are_not_kept(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    (tmp_path / "results").write_text("no folder")
    assert not inspect_data(load_spec(space)).store()
    (tmp_path / "results").unlink()
    (tmp_path / "target" / "circle").rename(tmp_path / "target" / "circles")
    assert not inspect_data(load_spec(space)).store()
    assert not (tmp_path / "results").exists()


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    report = inspect_data(load_spec(write_sound_space(tmp_path)))
    (tmp_path / "page.html").mkdir()
    with pytest.raises(ResultsError, match=r"cannot write .*page\.html"):
        report.write_page(tmp_path / "page.html")
