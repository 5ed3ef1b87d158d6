from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.fake_search import FakeTrial, make_record, make_result

from adaptune.search.callbacks.base import SearchCallback
from adaptune.search.protocol import GroupConfig, GroupResult, TrialConfig, TrialResult
from adaptune.training.record import EpochRecord

TRIALS = tuple(TrialConfig(number, {"loss_weights.cycle": 2.0}) for number in (3, 4, 5))
GROUP = GroupConfig(TRIALS, leader=3)


class Recorder(SearchCallback):
    """Keeps the calls of its hooks."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        self.calls.append(("epoch", config, record))

    def on_group_epoch(self, config: GroupConfig, result: GroupResult) -> None:
        self.calls.append(("group epoch", config.leader))

    def on_trial_end(self, config: TrialConfig) -> None:
        self.calls.append(("end", config.number))

    def on_group_end(self, config: GroupConfig, result: GroupResult) -> None:
        self.calls.append(("group end", config.leader))


@pytest.fixture
def trial() -> FakeTrial:
    return FakeTrial("tune-1", GROUP.to_tune())


def epochs(*numbers: int, **options: Any) -> GroupResult:
    results = {number: TrialResult(make_record(2, 0.5), 0.5) for number in numbers}
    return GroupResult(results, **options)


def test_epochs_are_passed_on_with_the_configs_of_their_trials(trial: FakeTrial) -> None:
    recorder = Recorder()
    recorder.on_trial_result(1, [trial], trial, epochs(3, 5).to_tune(), info="ignored")
    record = make_record(2, 0.5)
    assert recorder.calls == [
        ("epoch", TRIALS[0], record),
        ("epoch", TRIALS[2], record),
        ("group epoch", 3),
    ]


def test_a_result_without_an_epoch_is_not_passed_on(trial: FakeTrial) -> None:
    recorder = Recorder()
    error = GroupResult({3: TrialResult(error="step 3: nan", done=True)}, done=True)
    recorder.on_trial_result(1, [trial], trial, error.to_tune())
    assert recorder.calls == []


def test_a_trial_that_ends_in_a_group_that_continues_is_passed_on_once(trial: FakeTrial) -> None:
    recorder = Recorder()
    trial.config = replace(GROUP, ended=frozenset({4})).to_tune()
    recorder.on_trial_result(1, [trial], trial, epochs(3, 4, 5).to_tune())
    recorder.on_trial_result(1, [trial], trial, epochs(3, 5).to_tune())
    assert [call for call in recorder.calls if "end" in call[0]] == [("end", 4)]


@pytest.mark.parametrize("hook", ["on_trial_complete", "on_trial_error"])
def test_the_end_of_a_group_ends_the_trials_of_its_last_result(trial: FakeTrial, hook: str) -> None:
    recorder = Recorder()
    trial.config = replace(GROUP, ended=frozenset({3, 4, 5})).to_tune()
    trial.last_result = epochs(3, 5, done=True).to_tune()
    getattr(recorder, hook)(1, [trial], trial)
    assert recorder.calls == [("end", 3), ("end", 5), ("group end", 3)]


def test_the_trials_of_a_requeued_group_do_not_end(trial: FakeTrial) -> None:
    recorder = Recorder()
    trial.last_result = GroupResult(requeue_reason="no room", done=True).to_tune()
    recorder.on_trial_complete(1, [trial], trial)
    assert recorder.calls == [("group end", 3)]


@pytest.mark.parametrize("last_result", [None, epochs(3, 4, 5).to_tune()])
def test_the_running_trials_of_a_group_end_if_its_process_died_too_often(
    trial: FakeTrial, last_result: dict[str, Any] | None
) -> None:
    recorder = Recorder()
    trial.config = replace(GROUP, ended=frozenset({4})).to_tune()
    trial.last_result = last_result
    recorder.on_trial_error(1, [trial], trial)
    assert recorder.calls == [("end", 3), ("end", 5), ("group end", 3)]


def test_hooks_that_a_callback_does_not_need_do_nothing(trial: FakeTrial) -> None:
    callback = SearchCallback()
    callback.on_trial_result(1, [trial], trial, make_result(1, 0.5, number=3))
    callback.on_trial_complete(1, [trial], trial)


def test_tune_pickles_none_of_a_callbacks_state() -> None:
    recorder = Recorder()
    recorder.calls.append(("epoch",))
    assert vars(pickle.loads(pickle.dumps(recorder))) == {}


class Failing(SearchCallback):
    """Fails in every hook."""

    def _fail(self, *_: object) -> None:
        raise KeyError("a bug")

    on_start = on_restart = on_step = on_epoch = on_trial_end = on_group_end = _fail


class Essential(Failing):
    is_essential = True


HOOKS: dict[str, Callable[[SearchCallback, FakeTrial], None]] = {
    "start": lambda callback, trial: callback.on_trial_start(1, [trial], trial),
    "recover": lambda callback, trial: callback.on_trial_recover(1, [trial], trial),
    "result": lambda callback, trial: callback.on_trial_result(
        1, [trial], trial, make_result(1, 0.5, number=3)
    ),
    "complete": lambda callback, trial: callback.on_trial_complete(1, [trial], trial),
    "error": lambda callback, trial: callback.on_trial_error(1, [trial], trial),
    "step": lambda callback, trial: callback.on_step_end(1, [trial]),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_of_any_class_is_logged_with_its_place_and_ends_nothing(
    hook: str, trial: FakeTrial, caplog: pytest.LogCaptureFixture
) -> None:
    HOOKS[hook](Failing(), trial)
    [record] = caplog.records
    assert record.message == "Failing failed; the search continues"
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def test_an_error_of_an_essential_callback_is_raised(trial: FakeTrial) -> None:
    with pytest.raises(KeyError):
        HOOKS["step"](Essential(), trial)
