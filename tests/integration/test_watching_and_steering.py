"""Commands of another process on a running search, and on the search after its resume."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState
from support.real_ray import IN_PROCESS, Cluster, tail, trials_of, wait_until
from support.running_search import END_TIMEOUT_S, EPOCHS, TRIALS, RunningSearch

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ADAPTUNE = str(Path(sys.executable).with_name("adaptune"))


class Steered:
    """A search, and the commands of another process on it."""

    def __init__(self, search: RunningSearch) -> None:
        self.search = search

    def run(self, command: str, *arguments: str) -> str:
        """Run a command on the results folder; return its output."""
        line = [ADAPTUNE, command, str(self.search.folder), *arguments]
        process = subprocess.run(line, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        return process.stdout

    def watch(self) -> subprocess.Popen[str]:
        """Start to watch the search."""
        line = [ADAPTUNE, "watch", str(self.search.folder)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)

    def tried(self) -> list[FrozenTrial]:
        """Return the trials with the setting that was requested."""
        trials = trials_of(self.search.folder)
        return [trial for trial in trials if trial.params.get("loss_weights.cycle") == 3.0]

    def wait_for_records(self, count: int) -> None:
        """Wait until the study has the records of so many requests."""
        journal = self.search.folder / "study.journal"
        self.search.wait_for(
            lambda: journal.read_text().count('{"request:') >= count, f"request {count}"
        )


def test_a_search_is_watched_and_steered_also_after_a_resume(
    cluster: Cluster, tmp_path: Path
) -> None:
    # A command takes some seconds to start on a busy machine, and the first trial has to last.
    settings = IN_PROCESS | {"training__steps_per_epoch": 150}
    search = RunningSearch(cluster, tmp_path / "steered", **settings)
    steered = Steered(search)
    try:
        search.wait_for_epochs(1)
        first_view = steered.watch()
        assert steered.run("stop-trial", "0") == "trial 0 will stop\n"
        assert steered.run("try", "cycle=3") == "to try: cycle=3\n"
        steered.run("add-trials", "4")
        steered.wait_for_records(3)
        search.wait_for(lambda: search.ended_trials() >= 1, "the end of the stopped trial")
        search.kill_driver()
        output, _ = first_view.communicate(timeout=60)
        assert first_view.returncode == 0
        assert output.splitlines()[-1].endswith("; not running")
        assert "once the search runs" in steered.run("add-trials", "1")
        search.resume()
        steered.wait_for_records(4)
        second_view = steered.watch()
        started = len(trials_of(search.folder))
        # The trial that the resume continues may come first.
        wait_until(lambda: bool(steered.tried()), "the requested setting", END_TIMEOUT_S)
        steered.run("finish")
        assert search.driver.wait(timeout=END_TIMEOUT_S) == 0, tail(search.folder / "ray.log")
        output, _ = second_view.communicate(timeout=60)
        assert f"of {TRIALS + 1 + 4 + 1} trials have ended" in output
    finally:
        search.abandon()
    trials = trials_of(search.folder)
    assert (trials[0].state, trials[0].last_step < EPOCHS) == (TrialState.PRUNED, True)
    # Its number depends on how many trials had begun when it was requested.
    assert [trial.state for trial in steered.tried()] == [TrialState.COMPLETE]
    ended = [trial for trial in trials if trial.state.is_finished()]
    assert all(trial.state == TrialState.COMPLETE for trial in ended[1:])
    assert started <= len(ended) < TRIALS + 1 + 4 + 1
    assert (search.folder / "summary.json").exists()
    assert not list((search.folder / "requests").iterdir())
