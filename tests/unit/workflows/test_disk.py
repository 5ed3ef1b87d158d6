from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.fake_run import PLAN, make_tiny_search

from adaptune.results.folder import ResultsFolder, results_folder
from adaptune.spec.schema import SearchSpec
from adaptune.workflows import disk
from adaptune.workflows.disk import estimate_disk, free_bytes, used_bytes

MB = 10**6


class Usage(NamedTuple):
    free: int


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Checkpoints of 100 MB and sample grids of 1 MB; sets the free space, in MB."""

    def set_free(free_mb: int) -> None:
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: Usage(free_mb * MB))

    monkeypatch.setattr(disk, "largest_checkpoint_bytes", lambda *_: 100 * MB)
    monkeypatch.setattr(disk, "sample_grid_bytes", lambda _: MB)
    set_free(10_000)
    return set_free


def make_search(out: Path, **storage: Any) -> tuple[SearchSpec, ResultsFolder]:
    """Ten trials of five epochs."""
    spec = make_tiny_search(
        search={"trials": 10},
        training={"epochs": 5, "steps_per_epoch": 2, "batch_size": 4},
        storage={"out": str(out)} | storage,
    )
    return spec, results_folder(spec.name, spec.storage)


@pytest.mark.parametrize(
    ("storage", "at_once", "total"),
    [
        # Nine ended trials with one checkpoint each; a running one with the newest two, the best
        # and the one that is being written; 50 sample grids.
        ({}, 1, "1.4 GB"),
        ({}, 4, "2.2 GB"),
        ({"keep_checkpoints": 3}, 1, "1.4 GB"),
        ({"keep_checkpoints": 9}, 1, "1.6 GB"),  # all five, and one that is being written
    ],
)
def test_the_need_is_that_of_running_and_ended_trials_and_of_sample_grids(
    tmp_path: Path, storage: dict[str, Any], at_once: int, total: str
) -> None:
    spec, folder = make_search(tmp_path, **storage)
    plan = replace(PLAN, max_concurrent_trials=at_once)
    estimate = estimate_disk(spec, plan, folder)
    assert estimate.description == (
        f"{total} of disk for checkpoints and sample grids in {folder.path}, 10.0 GB free"
    )
    assert estimate.warnings == []


def test_a_disk_that_is_too_small_is_a_warning(
    tmp_path: Path, sizes: Callable[[int], None]
) -> None:
    sizes(900)
    spec, folder = make_search(tmp_path)
    [warning] = estimate_disk(spec, PLAN, folder).warnings
    assert warning == (
        f"{folder.path} may run out of space: make room, or set storage.checkpoint_budget_gb or"
        " another storage.out"
    )
    spec, folder = make_search(tmp_path, checkpoint_budget_gb=0.8)
    estimate = estimate_disk(spec, PLAN, folder)
    assert "of which storage.checkpoint_budget_gb keeps 800.0 MB" in estimate.description
    assert estimate.warnings == []


def test_what_a_resumed_search_has_written_is_part_of_its_need(
    tmp_path: Path, sizes: Callable[[int], None]
) -> None:
    sizes(900)
    spec, folder = make_search(tmp_path)
    checkpoints = folder.trial(0) / "checkpoints"
    checkpoints.mkdir(parents=True)
    with (checkpoints / "epoch-0001.pt").open("wb") as file:
        file.truncate(600 * MB)
    assert used_bytes(folder.path) == 600 * MB
    assert estimate_disk(spec, PLAN, folder).warnings == []


def test_a_budget_that_running_trials_exceed_is_a_warning(tmp_path: Path) -> None:
    spec, folder = make_search(tmp_path, checkpoint_budget_gb=0.4)
    [warning] = estimate_disk(spec, PLAN, folder).warnings
    assert warning == (
        "storage.checkpoint_budget_gb is too small: 1 running trial(s) and the best checkpoint need"
        " about 500.0 MB"
    )


def test_the_free_space_of_an_object_store_is_unknown(
    tmp_path: Path, sizes: Callable[[int], None]
) -> None:
    sizes(0)
    spec, folder = make_search(tmp_path, remote="s3://bucket/results")
    estimate = estimate_disk(spec, None, folder)
    assert estimate.description == (
        "1.4 GB of disk for checkpoints and sample grids in s3://bucket/results/fake"
    )
    assert estimate.warnings == []


def test_the_free_space_is_that_of_the_folder_to_come(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == 10_000 * MB
