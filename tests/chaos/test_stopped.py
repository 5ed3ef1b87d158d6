"""Processes that are stopped, not killed: they hold everything and answer nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.real_ray import actors, trial_rows, wait_until
from support.running_search import EPOCHS, TRIALS, RunningSearch

pytestmark = [pytest.mark.ray, pytest.mark.chaos]
EPOCH_TIMEOUT_S = 10
# The bound (ten times the slowest epoch, of some 10 s on two busy cores), the end of the stopped
# processes, the start of new ones and an epoch.
REPLACEMENT_TIMEOUT_S = 300.0
Start = Callable[..., RunningSearch]


def stop_one(search: RunningSearch, class_name: str) -> int:
    """SIGSTOP the process of an actor; return its id."""
    pid = actors(search.cluster, class_name)[0]
    os.kill(pid, signal.SIGSTOP)
    return pid


def has_ended(pid: int) -> bool:
    """Return whether a process is gone or waits for its parent to notice."""
    with suppress(FileNotFoundError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z"
    return True


def assert_replaced(search: RunningSearch, pid: int) -> None:
    search.wait_for_more_epochs(REPLACEMENT_TIMEOUT_S)
    wait_until(lambda: has_ended(pid), "the end of the stopped process")


@pytest.mark.parametrize("victim", ["RayTrainWorker", "TrainController", "TrialTrainable"])
def test_a_stopped_part_of_a_worker_group_is_replaced(
    start: Start, undisturbed: Path, victim: str
) -> None:
    search = start(resources__epoch_timeout_s=EPOCH_TIMEOUT_S)
    search.wait_for_epochs(2)
    pid = stop_one(search, victim)
    assert_replaced(search, pid)
    search.ends_like(undisturbed)


def test_a_stopped_in_process_trial_is_replaced(start: Start) -> None:
    settings: dict[str, Any] = {
        "execution": "in_process",
        "resources__workers_per_trial": 1,
        "training__steps_per_epoch": 200,  # so that it is stopped within an epoch
    }
    search = start(resources__epoch_timeout_s=EPOCH_TIMEOUT_S, **settings)
    search.wait_for_epochs(2)
    grids = search.sample_grids()
    pid = stop_one(search, "TrialTrainable")
    assert_replaced(search, pid)
    search.ends_complete()
    assert grids.items() <= search.sample_grids().items()  # no epoch was trained again
    assert search.stored_epochs() == TRIALS * EPOCHS
    assert {row["execution"] for row in trial_rows(search.folder)} == {"in_process"}
