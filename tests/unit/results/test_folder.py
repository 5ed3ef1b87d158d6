from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adaptune import files
from adaptune.results.folder import (
    FORMAT,
    FORMAT_KEY,
    ResultsFolder,
    inspection_file,
    join_uri,
    results_folder,
    write_atomically,
    write_table,
)
from adaptune.spec.schema import SearchSpec
from adaptune.spec.storage import StorageSpec

LOCAL = ResultsFolder(Path("/results/digits"))
COPIED = ResultsFolder(Path("/results/digits"), "s3://bucket/digits?region=eu", keep_checkpoints=5)


def test_the_files_of_a_search_have_the_names_of_the_design() -> None:
    files = {
        "spec": "search.yaml",
        "journal": "study.journal",
        "splits": "splits.parquet",
        "source_classifier": "source_classifier.safetensors",
        "trials_table": "trials.parquet",
        "epochs_table": "epochs.parquet",
        "summary": "summary.json",
        "report": "report.html",
        "log": "ray.log",
        "best": "best",
    }
    for attribute, name in files.items():
        assert getattr(LOCAL, attribute) == Path("/results/digits") / name
    assert LOCAL.trial(7) == Path("/results/digits/trials/7")


def test_source_classifiers_are_shared_by_neighbouring_searches() -> None:
    neighbour = ResultsFolder(Path("/results/letters"))
    assert LOCAL.source_classifiers == neighbour.source_classifiers == Path("/results/.cache")


def test_an_inspection_is_shared_by_searches_of_the_same_data() -> None:
    first, second = ResultsFolder(Path("results/a")), ResultsFolder(Path("results/b"))
    file = Path("results/.cache/inspection-12ab.json")
    assert first.inspection("12ab") == second.inspection("12ab") == file
    assert inspection_file(Path("results"), "12ab") == file


def test_nodes_share_the_folder_or_the_object_store() -> None:
    assert LOCAL.shared_path == LOCAL.path
    assert LOCAL.scratch("train") == "/results/digits/.ray/train"
    assert COPIED.shared_path is None
    assert COPIED.scratch("train") == "s3://bucket/digits/.ray/train?region=eu"


def test_checkpoints_are_where_all_nodes_see_them() -> None:
    local, copied = LOCAL.checkpoints(7), COPIED.checkpoints(7)
    assert (local.path, local.keep) == ("/results/digits/trials/7/checkpoints", 2)
    assert copied.path == "s3://bucket/digits/trials/7/checkpoints?region=eu"
    assert copied.keep == 5


@pytest.mark.parametrize("name", ["study.journal", "trials"])
def test_a_study_or_a_trial_is_progress(name: str, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    folder.spec.touch()
    folder.log.touch()
    assert not folder.has_progress
    (tmp_path / name).mkdir()
    assert folder.has_progress


def test_a_search_is_in_a_subfolder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = StorageSpec(out="results", remote="s3://bucket/all", keep_checkpoints=4)
    folder = results_folder("digits", storage)
    expected = ResultsFolder(tmp_path / "results" / "digits", "s3://bucket/all/digits", 4)
    assert folder == expected
    assert results_folder("digits", StorageSpec(out="results")).remote is None


@pytest.mark.parametrize(
    ("uri", "parts", "joined"),
    [
        ("s3://bucket/results/", ("a", "b"), "s3://bucket/results/a/b"),
        ("s3://bucket?scheme=http", ("a",), "s3://bucket/a?scheme=http"),
        ("file:///results", (), "file:///results"),
    ],
)
def test_the_options_of_a_uri_stay_at_its_end(
    uri: str, parts: tuple[str, ...], joined: str
) -> None:
    assert join_uri(uri, *parts) == joined


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    write_atomically(file, "old")
    write_atomically(file, "λ")
    assert file.read_text(encoding="utf-8") == "λ"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(file: int, body: bytes) -> int:
        os.pwrite(file, body[: len(body) // 2], 0)
        raise OSError("No space left on device")

    file = tmp_path / "summary.json"
    write_atomically(file, "old")
    monkeypatch.setattr(files.os, "write", write_half)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, "new and longer")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_table_names_its_format_and_keeps_its_metadata(tmp_path: Path) -> None:
    file = tmp_path / "trials.parquet"
    table = pa.table({"number": [0, 1]})
    write_table(file, table)
    assert pq.read_schema(file).metadata[FORMAT_KEY] == str(FORMAT).encode()
    write_table(file, table.replace_schema_metadata({b"digest": b"0"}))
    metadata = pq.read_schema(file).metadata
    assert metadata[b"digest"] == b"0"
    assert metadata[FORMAT_KEY] == str(FORMAT).encode()
    assert pq.read_table(file).to_pydict() == {"number": [0, 1]}
    assert list(tmp_path.iterdir()) == [file]


def test_the_format_of_a_folder_is_that_of_its_search_space_file() -> None:
    assert SearchSpec.model_fields["format"].default == FORMAT
