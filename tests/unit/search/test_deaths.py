"""The cause of the death of a trial's process, on its way to the study and to the next process."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from ray import cloudpickle
from ray.tune.experiment import Trial
from rich.console import Console
from support.fake_search import FakeTrial, make_result, make_search

from adaptune.search.callbacks.console import ConsoleCallback
from adaptune.search.protocol import TrialConfig
from adaptune.search.scheduler import StudyScheduler
from adaptune.study.objective import Objective
from adaptune.study.study import SearchStudy, create_study

CAUSE = "RuntimeError: cuDNN failed"


@pytest.fixture
def study() -> SearchStudy:
    return create_study(make_search())


@pytest.fixture
def trial(tmp_path: Path) -> FakeTrial:
    file = tmp_path / "error.pkl"
    file.write_bytes(cloudpickle.dumps(RuntimeError("cuDNN failed")))
    return FakeTrial("tune-1", TrialConfig(3, {}).to_tune(), pickled_error_file=str(file))


def test_the_next_process_of_a_trial_knows_why_and_where_the_last_one_died(
    study: SearchStudy, trial: FakeTrial
) -> None:
    deaths: list[tuple[str, str]] = []
    options = make_search().search.scheduler
    scheduler = StudyScheduler(
        options, 9, study, Objective(study.metric), note_death=lambda *death: deaths.append(death)
    )
    scheduler.on_trial_add(None, trial)
    for epoch in (1, 2):
        scheduler.on_trial_result(None, trial, make_result(epoch, 0.5))
    scheduler.on_trial_error(None, trial)
    assert TrialConfig.from_tune(trial.config) == TrialConfig(3, {}, death=CAUSE, death_epoch=2)
    assert deaths == [("tune-1", CAUSE)]


def test_a_restart_is_printed_with_its_cause(study: SearchStudy, trial: FakeTrial) -> None:
    text = io.StringIO()
    callback = ConsoleCallback(
        Console(file=text), study, Objective(study.metric), trials=20, epochs=9
    )
    trial.config = TrialConfig(3, {}, death=CAUSE, death_epoch=2).to_tune()
    callback.on_trial_recover(1, [trial], trial)
    assert text.getvalue() == f"         trial 3 is restarted: {CAUSE}\n"


def test_tune_starts_a_process_with_the_config_that_was_set() -> None:
    trial = Trial("trainable", config=TrialConfig(3, {}).to_tune(), stub=True)
    config = TrialConfig(3, {}, death=CAUSE, death_epoch=2)
    trial.set_config(config.to_tune())
    assert TrialConfig.from_tune(trial.config) == config
