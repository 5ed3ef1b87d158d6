from __future__ import annotations

import pickle
from typing import Any

import pytest
from support.fake_search import FakeTrial, make_record, make_result

from adaptune.search.callbacks.base import SearchCallback, logged_disk_errors
from adaptune.search.protocol import TrialConfig, TrialResult
from adaptune.training.record import EpochRecord

CONFIG = TrialConfig(3, {"loss_weights.cycle": 2.0})


class Recorder(SearchCallback):
    """Keeps the calls of its hooks."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_epoch(self, config: TrialConfig, record: EpochRecord) -> None:
        self.calls.append(("epoch", config, record))

    def on_trial_end(self, config: TrialConfig, result: TrialResult) -> None:
        self.calls.append(("end", config, result))


@pytest.fixture
def trial() -> FakeTrial:
    return FakeTrial("tune-1", CONFIG.to_tune())


def test_a_result_with_an_epoch_is_passed_on_with_the_config_of_its_trial(
    trial: FakeTrial,
) -> None:
    recorder = Recorder()
    recorder.on_trial_result(1, [trial], trial, make_result(2, 0.5), info="ignored")
    assert recorder.calls == [("epoch", CONFIG, make_record(2, 0.5))]


def test_a_result_without_an_epoch_is_not_passed_on(trial: FakeTrial) -> None:
    recorder = Recorder()
    error = TrialResult(error="step 3: nan", done=True).to_tune()
    recorder.on_trial_result(1, [trial], trial, error)
    assert recorder.calls == []


@pytest.mark.parametrize("hook", ["on_trial_complete", "on_trial_error"])
def test_the_end_of_a_trial_is_passed_on_with_its_last_result(trial: FakeTrial, hook: str) -> None:
    recorder = Recorder()
    result = TrialResult(requeue_reason="no room", done=True)
    trial.last_result = result.to_tune()
    getattr(recorder, hook)(1, [trial], trial)
    assert recorder.calls == [("end", CONFIG, result)]


def test_a_trial_may_end_before_its_first_result(trial: FakeTrial) -> None:
    recorder = Recorder()
    recorder.on_trial_error(1, [trial], trial)
    assert recorder.calls == [("end", CONFIG, TrialResult())]


def test_hooks_that_a_callback_does_not_need_do_nothing(trial: FakeTrial) -> None:
    callback = SearchCallback()
    callback.on_trial_result(1, [trial], trial, make_result(1, 0.5))
    callback.on_trial_complete(1, [trial], trial)


def test_tune_pickles_none_of_a_callbacks_state() -> None:
    recorder = Recorder()
    recorder.calls.append(("epoch",))
    assert vars(pickle.loads(pickle.dumps(recorder))) == {}


def test_an_error_of_the_disk_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with logged_disk_errors("tables", 3):
        raise OSError(28, "No space left on device")
    [message] = caplog.messages
    assert message == "tables failed after trial 3: [Errno 28] No space left on device"


def test_another_error_is_raised() -> None:
    with pytest.raises(KeyError), logged_disk_errors("tables", 3):
        raise KeyError("a bug")
