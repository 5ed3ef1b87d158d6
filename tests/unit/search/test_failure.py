"""Errors of the study, the searcher and callbacks while Tune ends a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler
from support.fake_search import FakeTune, history, make_search, simulate, smooth

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.failure import SearchFailure, ends_search
from adaptune.search.protocol import TrialConfig
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy
from adaptune.training.record import EpochRecord

SPEC = make_search(search={"trials": 8, "startup_trials": 3}, seed=4)
CAUSE = OSError(28, "No space left on device")
METHODS = ("tell_result", "add_epoch", "ask_group")


class Counted:
    """An object whose methods end the search if they fail."""

    def __init__(self) -> None:
        self.failure = SearchFailure()
        self.calls = 0

    @ends_search
    def divide(self, number: int) -> float:
        self.calls += 1
        return 1 / number


def test_the_first_error_is_kept_and_nothing_is_done_after_it() -> None:
    counted = Counted()
    assert counted.divide(2) == 0.5
    counted.failure.check()
    for number in (0, 2):
        with pytest.raises(ZeroDivisionError):
            counted.divide(number)
    with pytest.raises(ZeroDivisionError):
        counted.failure.check()
    assert counted.calls == 2


def fail_once(
    study: SearchStudy, method: str, call: int, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Make one call of a method of the study fail; return the numbers of the trials it is for."""
    original = getattr(study, method)
    calls: list[int] = []

    def failing(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == call:
            raise CAUSE
        return original(*arguments, **options)

    monkeypatch.setattr(study, method, failing)
    return calls


@pytest.mark.parametrize("call", [1, 2, 5])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_error_of_the_study_ends_the_search_with_its_own_message_and_a_resume_repairs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, call: int, concurrency: int
) -> None:
    undisturbed = simulate(SPEC, None, smooth)
    journal = tmp_path / "journal"
    study = open_study(SPEC, journal)
    calls = fail_once(study, method, call, monkeypatch)
    with pytest.raises(OSError, match="No space left") as caught:
        simulate(SPEC, journal, smooth, study=study, concurrency=concurrency)
    assert caught.value is CAUSE
    assert len(calls) == call  # nothing was stored, begun or ended after it
    resumed = simulate(SPEC, journal, smooth, concurrency=concurrency)
    numbers = [trial.number for trial in resumed.started_trials()]
    assert numbers == list(range(8))
    if concurrency == 1:
        assert history(resumed) == history(undisturbed)


def test_a_trial_whose_end_cannot_be_stored_is_trained_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(SPEC, tmp_path / "journal")
    fail_once(study, "tell_result", 2, monkeypatch)
    tune = FakeTune(SPEC, study, smooth)
    epochs: list[tuple[int, int]] = []
    with pytest.raises(OSError, match="No space left"):
        train(tune, epochs)
    assert len(tune.ended_again) == 1  # Tune was about to train it again
    assert len(epochs) == len(set(epochs))


def train(tune: FakeTune, epochs: list[tuple[int, int]]) -> None:
    """Train until the end of the search, and note the trial and the number of each epoch."""
    while tune.start_trials() or tune.live:
        [trial] = tune.live
        epochs.append((trial.group.leader, trial.epoch))
        if tune.report_epoch(trial) == TrialScheduler.STOP:
            tune.stop(trial)
        tune.end_step()


class Broken(SearchCallback):
    """Fails at every epoch and at the end of every trial."""

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        raise KeyError("a bug")

    def on_trial_end(self, config: TrialConfig) -> None:
        raise KeyError("a bug")


def test_a_callback_that_fails_at_every_end_changes_nothing() -> None:
    undisturbed = simulate(SPEC, None, smooth)
    assert history(simulate(SPEC, None, smooth, callbacks=[Broken()])) == history(undisturbed)
