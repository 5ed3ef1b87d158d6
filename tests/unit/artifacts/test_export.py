"""Exports are complete, and replace earlier ones without losing what a user added."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptune import __version__, files
from adaptune.artifacts import export as export_module
from adaptune.artifacts import load_export
from adaptune.artifacts.format import CHECKSUMS_FILE, EXPORT_FILES, PORTABLE_FILES
from adaptune.errors import ResultsError
from adaptune.signals import StopRequest, stop_on_signals

Write = Callable[..., Path]


def test_an_export_holds_its_files_and_nothing_else_is_written_next_to_it(best: Path) -> None:
    assert {file.name for file in best.iterdir()} == set(EXPORT_FILES) - set(PORTABLE_FILES)
    assert [entry.name for entry in best.parent.iterdir()] == ["best"]


def test_portable_files_are_part_of_the_export_and_of_its_checksums(portable: Path) -> None:
    assert {entry.name for entry in portable.iterdir()} == set(EXPORT_FILES)
    subprocess.run(
        ["sha256sum", "--check", "--strict", CHECKSUMS_FILE],
        cwd=portable,
        check=True,
        capture_output=True,
    )


def test_an_export_without_portable_files_replaces_one_with_them(
    portable: Path, write: Write, tmp_path: Path
) -> None:
    shutil.copytree(portable, tmp_path / "best")
    write(tmp_path / "best")
    assert not set(PORTABLE_FILES) & {entry.name for entry in (tmp_path / "best").iterdir()}


def test_sha256sum_confirms_a_fresh_export(best: Path) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--strict", CHECKSUMS_FILE],
        cwd=best,
        check=True,
        capture_output=True,
    )


def test_the_checksums_cover_all_files_but_themselves(best: Path) -> None:
    lines = (best / CHECKSUMS_FILE).read_text().splitlines()
    expected = []
    for name in sorted(set(EXPORT_FILES) - {CHECKSUMS_FILE, *PORTABLE_FILES}):
        expected.append(f"{hashlib.sha256((best / name).read_bytes()).hexdigest()}  {name}")
    assert lines == expected


def test_the_config_contains_all_that_loading_and_judging_need(best: Path) -> None:
    config = json.loads((best / "config.json").read_text())
    assert config["class_names"] == ["cat", "dog", "owl"]
    assert config["data"]["target"]["crop"] == 12
    assert (config["seed"], config["loss_weights"]["cycle"]) == (3, 10.0)


def test_the_config_names_its_format_and_the_adaptune_that_wrote_it(best: Path) -> None:
    config = json.loads((best / "config.json").read_text())
    assert (config["format"], config["adaptune"]) == (2, __version__)
    assert set(config["data"]) == {"source", "target"}


def test_the_path_of_the_export_is_returned_as_an_absolute_one(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert write(Path("models/best")) == tmp_path / "models" / "best"


def test_a_new_export_replaces_the_old_one_and_keeps_what_the_user_added(
    best: Path, write: Write
) -> None:
    (best / "notes.txt").write_text("mine")
    write(best, accuracy=0.75)
    assert json.loads((best / "metrics.json").read_text()) == {"accuracy": 0.75}
    assert (best / "notes.txt").read_text() == "mine"
    assert [entry.name for entry in best.parent.iterdir()] == ["best"]


def test_an_empty_folder_is_replaced(write: Write, tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    load_export(write(tmp_path / "best"))


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path, write: Write) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ResultsError, match="left alone"):
        write(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_file_is_never_replaced(tmp_path: Path, write: Write) -> None:
    (tmp_path / "best").write_text("years of work")
    with pytest.raises(ResultsError, match="left alone"):
        write(tmp_path / "best")
    assert (tmp_path / "best").read_text() == "years of work"


def test_an_export_killed_half_way_is_cleaned_up_by_the_next(best: Path, write: Write) -> None:
    (best / "notes.txt").write_text("mine")
    best.rename(best.with_name(".best.old"))  # killed between the two renames
    best.with_name(".best.part").mkdir()
    write(best)
    load_export(best)
    assert (best / "notes.txt").exists()
    assert [entry.name for entry in best.parent.iterdir()] == ["best"]


def test_a_signal_between_the_renames_leaves_the_new_export(
    best: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    (best / "notes.txt").write_text("mine")
    rename = export_module.rename

    def rename_and_interrupt(path: Path, target: Path) -> None:
        rename(path, target)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(export_module, "rename", rename_and_interrupt)
        with pytest.raises(StopRequest), stop_on_signals():
            write(best)
    load_export(best)
    assert (best / "notes.txt").exists()
    assert os.listdir(best.parent) == ["best"]


def test_a_signal_while_the_files_are_written_leaves_the_old_export(
    best: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path, *parts: bytes) -> None:
        raise StopRequest(signal.SIGTERM)

    before = (best / CHECKSUMS_FILE).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(export_module, "write_file", interrupt)
        with pytest.raises(StopRequest):
            write(best)
    assert (best / CHECKSUMS_FILE).read_bytes() == before
    assert os.listdir(best.parent) == ["best"]


def test_a_failing_write_leaves_the_old_export(
    best: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    before = (best / CHECKSUMS_FILE).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "write", full)
        with pytest.raises(ResultsError, match="No space left"):
            write(best)
    assert (best / CHECKSUMS_FILE).read_bytes() == before
    assert os.listdir(best.parent) == ["best"]


def test_metrics_of_numpy_and_non_finite_ones_are_written_as_json(
    tmp_path: Path, write: Write
) -> None:
    best = write(tmp_path / "best", n=np.int64(3), gap=math.nan, ci95=(np.float64(0.5), 1.0))
    assert json.loads((best / "metrics.json").read_text()) == {
        "n": 3,
        "gap": None,
        "ci95": [0.5, 1.0],
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.25), 0.25),
        (np.float32("nan"), None),
        (np.array([1.0, math.inf]), [1.0, None]),
        (torch.tensor(2), 2),
        (torch.tensor([0.5, math.nan]), [0.5, None]),
        (np.bool_(True), True),
        ({"nested": {1: (-math.inf,)}}, {"nested": {"1": [None]}}),
        (Path("a/b"), "a/b"),
        (3j, "3j"),
        ("λ", "λ"),
    ],
)
def test_a_metric_of_any_type_is_written_as_json(
    tmp_path: Path, write: Write, value: object, expected: object
) -> None:
    text = (write(tmp_path / "best", figure=value) / "metrics.json").read_text()
    assert json.loads(text) == {"figure": expected}
    assert "NaN" not in text
    assert text.endswith("}\n")
