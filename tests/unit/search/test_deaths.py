"""The cause of the death of a trial's process, on its way to the study and to the next process."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from ray import cloudpickle
from ray.tune.experiment import Trial
from rich.console import Console
from support.fake_search import FakeTrial, make_config, make_result, make_search

from adaptune.search.callbacks.console import ConsoleCallback
from adaptune.search.protocol import Death, GroupConfig
from adaptune.search.scheduler import GroupHooks, StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.study.budget import SearchBudget
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
    return FakeTrial("tune-1", make_config(3), pickled_error_file=str(file))


def make_searcher(study: SearchStudy, trials: int) -> StudySearcher:
    budget = SearchBudget(trials, epochs=9, node_timeout_s=60)
    return StudySearcher(study, Objective(study.metric), budget, lambda _: 1)


def test_the_next_process_of_a_trial_knows_why_and_where_the_last_one_died(
    study: SearchStudy, trial: FakeTrial
) -> None:
    deaths: list[tuple[str, Death]] = []
    options = make_search().search.scheduler
    hooks = GroupHooks(note_death=lambda *death: deaths.append(death))
    scheduler = StudyScheduler(options, 9, study, Objective(study.metric), hooks=hooks)
    scheduler.on_trial_add(None, trial)
    for epoch in (1, 2):
        scheduler.on_trial_result(None, trial, make_result(epoch, 0.5, number=3))
    scheduler.on_trial_error(None, trial)
    assert trial.config == make_config(3, death=CAUSE, death_epoch=2)
    assert deaths == [("tune-1", Death(CAUSE))]


def test_the_cause_of_death_of_a_process_is_part_of_its_trials_error(study: SearchStudy) -> None:
    searcher = make_searcher(study, trials=1)
    searcher.suggest("a")
    for cause in ("RuntimeError: first", "RuntimeError: last"):
        searcher.note_death("a", Death(cause))
    searcher.on_trial_complete("a", None, error=True)
    [dead] = study.started_trials()
    assert dead.error == (
        "the trial's process died repeatedly, the last time of: RuntimeError: last"
    )


def test_a_trial_whose_process_died_before_it_took_the_trial_is_requeued(
    study: SearchStudy,
) -> None:
    searcher = make_searcher(study, trials=1)
    first = searcher.suggest("a")
    for tune_id, next_id in zip("abc", "bcd", strict=True):
        searcher.note_death(tune_id, Death("killed", is_early=True))
        searcher.on_trial_complete(tune_id, None, error=True)
        assert searcher.suggest(next_id) == first
    searcher.note_death("d", Death("killed", is_early=True))
    searcher.on_trial_complete("d", None, error=True)
    [dead] = study.started_trials()
    assert dead.error == "the trial's process died repeatedly, the last time of: killed"
    assert searcher.suggest("e") == "FINISHED"


def test_a_restart_is_printed_with_its_cause(study: SearchStudy, trial: FakeTrial) -> None:
    text = io.StringIO()
    callback = ConsoleCallback(
        Console(file=text), study, Objective(study.metric), trials=20, epochs=9
    )
    trial.config = make_config(3, death=CAUSE, death_epoch=2)
    callback.on_trial_recover(1, [trial], trial)
    assert text.getvalue() == f"         trial 3 is restarted: {CAUSE}\n"


def test_tune_starts_a_process_with_the_config_that_was_set() -> None:
    trial = Trial("trainable", config=make_config(3), stub=True)
    config = make_config(3, death=CAUSE, death_epoch=2)
    trial.set_config(config)
    assert GroupConfig.from_tune(trial.config) == GroupConfig.from_tune(config)
