"""A search in a process of its own, to be disturbed."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from adaptune.artifacts.load import load_export
from support.real_ray import (
    Cluster,
    actors,
    tail,
    trial_rows,
    trials_of,
    wait_for_cleanup,
    wait_until,
)

TRIALS = 3
EPOCHS = 4
END_TIMEOUT_S = 300.0
POLL_INTERVAL_S = 0.05  # some states of a search last a second only
# One trial at a time: samplers depend on the trials that have ended, and a node that joins would
# make room for two.
SETTINGS = {
    "training__epochs": EPOCHS,
    "training__steps_per_epoch": 20,
    "search__scheduler": "none",
    "resources__max_concurrent": 1,
}


class RunningSearch:
    """A search of trials of four epochs, one trial, or group of trials, at a time.

    Args:
        cluster: where it runs.
        folder: results folder.
        output: file that gets what the drivers print.
        trials: number of trials.
        settings: override keys, with `__` for a dot.
    """

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        *,
        output: Path = Path(os.devnull),
        trials: int = TRIALS,
        **settings: Any,
    ) -> None:
        self.cluster = cluster
        self.folder = folder
        self.output = output
        self.trials = trials
        self.settings = SETTINGS | settings
        self.start()

    def start(self, *extra: str) -> None:
        """Start the driver."""
        out, name = self.folder.parent, self.folder.name
        arguments = ("--trials", str(self.trials), *extra)
        self.driver = self.cluster.start(out, name, *arguments, output=self.output, **self.settings)

    def resume(self) -> None:
        """Start the driver again, on the same folder."""
        self.start("--resume")

    def restart(self) -> None:
        """Start the driver again; a search that left nothing begins again."""
        self.start("--resume-if-begun")

    def kill_driver(self) -> None:
        """SIGKILL the driver, which must not have ended yet."""
        assert self.driver.poll() is None, f"the driver ended with {self.driver.returncode}"
        self.driver.send_signal(signal.SIGKILL)
        self.driver.wait()

    def abandon(self) -> None:
        """Kill the driver if its test failed before its end, so that the next test has room."""
        if self.driver.poll() is None:
            self.kill_driver()
            wait_for_cleanup(self.cluster)

    def kill_actor(self, class_name: str) -> None:
        """SIGKILL the process of an actor."""
        pids = actors(self.cluster, class_name)
        assert pids, f"no actor {class_name}"
        os.kill(pids[0], signal.SIGKILL)

    def stored_epochs(self) -> int:
        """Return the number of epochs in the study, over all trials."""
        journal = self.folder / "study.journal"
        if not journal.exists():
            return 0
        return len(re.findall(r'"epoch:\d+"', journal.read_text()))

    def ended_trials(self) -> int:
        """Return the number of trials in the study that have ended."""
        if not (self.folder / "study.journal").exists():
            return 0
        return sum(trial.state.is_finished() for trial in trials_of(self.folder))

    def wait_for(self, happened: Callable[[], bool], event: str) -> None:
        """Wait until a function returns True, and fail at once if the driver ends before."""

        def has_happened() -> bool:
            if happened():
                return True
            assert self.driver.poll() is None, tail(self.folder / "ray.log")
            return False

        wait_until(has_happened, event, interval_s=POLL_INTERVAL_S)

    def wait_for_epochs(self, count: int) -> None:
        """Wait until the study has this many epochs."""
        self.wait_for(lambda: self.stored_epochs() >= count, f"epoch {count} of the search")

    def wait_for_more_epochs(self, timeout_s: float, count: int = 2) -> None:
        """Wait until the study has `count` more epochs than now."""
        before = self.stored_epochs()
        wait_until(lambda: self.stored_epochs() >= before + count, "further training", timeout_s)

    def sample_grids(self) -> dict[Path, int]:
        """Return the time in ns at which the sample grid of each trained epoch was written."""
        grids = (self.folder / "trials").glob("*/checkpoints/*.png")
        return {grid: grid.stat().st_mtime_ns for grid in grids}

    def ends_complete(self) -> None:
        """Wait for the end of the search, and check all that a search must leave."""
        assert self.driver.wait(timeout=END_TIMEOUT_S) == 0, tail(self.folder / "ray.log")
        trials = trials_of(self.folder)
        assert [trial.number for trial in trials] == list(range(self.trials))
        assert {trial.state for trial in trials} == {TrialState.COMPLETE}
        assert {row["epochs"] for row in trial_rows(self.folder)} == {EPOCHS}
        summary = json.loads((self.folder / "summary.json").read_text())
        assert summary["trials_total"] == self.trials
        load_export(self.folder / "best")
        wait_for_cleanup(self.cluster)

    def ends_like(self, undisturbed: Path) -> None:
        """Check also that the trials are those of another search."""
        self.ends_complete()
        assert trial_rows(self.folder) == trial_rows(undisturbed)
