from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.fake_run import make_summary
from support.fake_search import make_record
from support.real_ray import wait_until
from support.tracked_search import (
    EPOCHS,
    TRIALS,
    make_tracked,
    make_tracked_run,
    train,
    write_grid,
)

from adaptune.evaluation.summary import Summary
from adaptune.search.driver import SearchRun
from adaptune.search.protocol import TrialConfig
from adaptune.study.trial import StudyEpoch, StudyTrial
from adaptune.tracking import tracker as module
from adaptune.tracking.tracker import (
    TrackedSearch,
    TrackerCallback,
    epoch_figures,
    summary_figures,
)


@dataclass
class Recorder:
    """A tracker that keeps what it gets; its first calls fail."""

    failures: int = 0
    trials: dict[int, StudyTrial] = field(default_factory=dict)
    result: tuple[Summary, Path | None] | None = None
    threads: set[str] = field(default_factory=set)
    answers: threading.Event = field(default_factory=threading.Event)
    is_stopped: bool = False

    def open_late(self) -> Recorder:
        self.answers.wait()
        return self

    def update(self, trial: StudyTrial) -> None:
        self.threads.add(threading.current_thread().name)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no server")
        self.trials[trial.number] = trial

    def finish(self, summary: Summary, export: Path | None) -> None:
        if self.failures:
            raise ConnectionError("no server")
        self.result = (summary, export)

    def stop(self) -> None:
        self.is_stopped = True


@pytest.fixture
def run(tmp_path: Path) -> SearchRun:
    return make_tracked_run(make_tracked(tmp_path), tmp_path / "s")


def test_a_tracker_has_each_trial_as_it_ended_and_the_result(run: SearchRun) -> None:
    recorder = Recorder()
    callback = TrackerCallback("tool", lambda: recorder, run.study)
    train(run, callback)
    summary = make_summary()
    callback.finish(summary, Path("best"))
    assert sorted(recorder.trials) == list(range(TRIALS))
    for trial in recorder.trials.values():
        assert trial.state.is_finished()
        assert [epoch.number for epoch in trial.epochs] == list(range(1, EPOCHS + 1))
    assert recorder.result == (summary, Path("best"))
    assert recorder.threads == {"tracker-tool"}


def test_a_running_trial_has_the_epochs_that_the_study_has(run: SearchRun) -> None:
    recorder = Recorder()
    callback = TrackerCallback("tool", lambda: recorder, run.study)
    train(run, stop_after=2)
    callback.on_epoch(TrialConfig(0, {}), make_record(2, 0.5))
    deadline = time.monotonic() + 10
    while 0 not in recorder.trials and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [epoch.number for epoch in recorder.trials[0].epochs] == [1, 2]
    callback.finish(make_summary(), None)


def test_trials_of_earlier_sessions_are_passed_too(run: SearchRun) -> None:
    train(run, stop_after=2)
    train(run)
    recorder = Recorder()
    callback = TrackerCallback("tool", lambda: recorder, run.study)
    callback.finish(make_summary(), None)
    assert sorted(recorder.trials) == list(range(TRIALS))


def test_a_failure_ends_nothing_and_is_made_up_for(
    run: SearchRun, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(failures=3)
    callback = TrackerCallback("tool", lambda: recorder, run.study)
    train(run, callback)
    callback.finish(make_summary(), None)
    assert sorted(recorder.trials) == list(range(TRIALS))
    assert set(caplog.messages) == {"tool did not take the figures; the search continues"}


def test_a_tool_that_never_opens_is_an_error_at_the_end(run: SearchRun) -> None:
    def refuse() -> Recorder:
        raise ConnectionError("no server")

    callback = TrackerCallback("tool", refuse, run.study)
    train(run, callback)
    with pytest.raises(OSError, match="no server"):
        callback.finish(make_summary(), None)


def test_a_search_that_stops_before_its_end_tells_the_tool(run: SearchRun) -> None:
    recorder = Recorder()
    callback = TrackerCallback("tool", lambda: recorder, run.study)
    train(run, callback, stop_after=4)
    wait_until(lambda: bool(recorder.trials), "the first trial")
    callback.stop()
    assert recorder.is_stopped
    assert recorder.result is None


def test_a_tool_that_has_not_answered_is_told_nothing(run: SearchRun) -> None:
    recorder = Recorder()
    callback = TrackerCallback("tool", recorder.open_late, run.study)
    callback.stop()
    recorder.answers.set()
    assert not recorder.is_stopped


def test_a_tool_that_does_not_answer_is_not_waited_for(
    run: SearchRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FINISH_TIMEOUT_S", 0.1)
    recorder = Recorder()
    callback = TrackerCallback("tool", recorder.open_late, run.study)
    train(run, callback)
    with pytest.raises(OSError, match="no answer within"):
        callback.finish(make_summary(), None)
    recorder.answers.set()


def test_the_figures_of_an_epoch_are_finite_and_have_the_objective() -> None:
    record = make_record(2, 0.75, losses={"cycle": 0.5, "adversarial": math.nan})
    figures = epoch_figures(StudyEpoch(record, 0.25))
    assert figures["objective"] == 0.25
    assert figures["target_val_accuracy"] == 0.75
    assert figures["loss/cycle"] == 0.5
    assert "loss/adversarial" not in figures
    assert "epoch" not in figures  # the step, which is no figure


def test_the_figures_of_a_summary_are_its_numbers() -> None:
    figures = summary_figures(make_summary(target_val_accuracy=0.5, gap_closed=None))
    assert figures["target_val_accuracy"] == 0.5
    assert figures["trials_total"] == 3
    assert not {"gap_closed", "verdict", "name"} & figures.keys()


def test_sample_grids_are_those_of_reported_epochs(run: SearchRun) -> None:
    train(run)
    search = TrackedSearch.of(run)
    for epoch in (3, 1, EPOCHS + 1):  # a kill came before the last one was reported
        write_grid(run, 0, epoch)
    assert list(search.sample_grids(run.study.trial(0))) == [1, 3]
    assert search.sample_grids(run.study.trial(1)) == {}
