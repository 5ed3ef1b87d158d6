from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from support.fake_search import FakeTrial, make_record, make_result

from adaptune.search.callbacks.base import SearchCallback
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


class Failing(SearchCallback):
    """Fails in every hook."""

    def _fail(self, *_: object) -> None:
        raise KeyError("a bug")

    on_start = on_restart = on_step = on_epoch = on_trial_end = _fail


class Essential(Failing):
    is_essential = True


HOOKS: dict[str, Callable[[SearchCallback, FakeTrial], None]] = {
    "start": lambda callback, trial: callback.on_trial_start(1, [trial], trial),
    "recover": lambda callback, trial: callback.on_trial_recover(1, [trial], trial),
    "result": lambda callback, trial: callback.on_trial_result(
        1, [trial], trial, make_result(1, 0.5)
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
