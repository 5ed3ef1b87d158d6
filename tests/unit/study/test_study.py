from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from optuna.trial import Trial, TrialState
from support.fake_search import make_record, make_search, simulate, smooth

from adaptune.spec.distributions import Value
from adaptune.study.storage import open_study, read_study
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.warm_start import describe_warm_start
from adaptune.training.record import HealthReport


def add_epoch(
    study: SearchStudy, trial: Trial, epoch: int, accuracy: float, loss: float = 1.0
) -> bool:
    return study.add_epoch(trial, make_record(epoch, accuracy, loss), accuracy)


def run_trial(
    study: SearchStudy,
    accuracies: Sequence[float],
    *,
    epochs: int,
    error: str | None = None,
    loss: float = 1.0,
) -> TrialState:
    trial = study.ask()
    for epoch, accuracy in enumerate(accuracies, start=1):
        add_epoch(study, trial, epoch, accuracy, loss)
    return study.tell_result(trial, epochs=epochs, error=error, wall_s=1.0)


def test_start_points_come_first_once_and_values_are_in_the_space(journal: Path) -> None:
    point: dict[str, Value] = {"loss_weights.cycle": 10.0}
    spec = make_search(search={"start_points": [point, {"loss_weights.identity": 2.0}]})
    trials = []
    for _ in range(4):  # reopened each time
        trials.append(open_study(spec, journal).ask())
    assert trials[0].params["loss_weights.cycle"] == 10.0
    assert trials[1].params["loss_weights.identity"] == 2.0
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    for trial in trials:
        assert 0.1 <= trial.params["loss_weights.cycle"] <= 30
        assert 0 <= trial.params["loss_weights.identity"] <= 5
    assert trials[2].params != trials[3].params


def test_start_points_that_wait_have_not_started() -> None:
    study = create_study(make_search(search={"start_points": [{"loss_weights.cycle": 10.0}]}))
    assert study.started_trials() == []
    study.ask()
    assert [trial.state for trial in study.started_trials()] == [TrialState.RUNNING]


def test_all_kinds_of_distributions_are_drawn() -> None:
    spec = make_search(
        space={
            "training.gan_loss": {"search": "choice", "values": ["lsgan", "log"]},
            "model.generator.blocks": {"search": "int", "low": 1, "high": 5, "step": 2},
        }
    )
    study = create_study(spec)
    drawn = [study.ask().params for _ in range(8)]
    assert {values["model.generator.blocks"] for values in drawn} <= {1, 3, 5}
    assert {values["training.gan_loss"] for values in drawn} == {"lsgan", "log"}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_proposals_depend_on_the_seed_and_the_history_alone(tmp_path: Path, sampler: str) -> None:
    spec = make_search(search={"sampler": sampler, "startup_trials": 2})

    def proposals(name: str, *, reopened: bool, seed: int = 0) -> list[dict[str, Value]]:
        seeded = spec.model_copy(update={"seed": seed})
        study = open_study(seeded, tmp_path / name)
        values = []
        for number in range(5):
            if reopened:
                study = open_study(seeded, tmp_path / name)
            trial = study.ask()
            add_epoch(study, trial, 9, 0.1 * number)
            study.tell_result(trial, epochs=9, error=None, wall_s=1)
            values.append(trial.params)
        return values

    undisturbed = proposals("undisturbed", reopened=False)
    assert proposals("reopened", reopened=True) == undisturbed
    assert proposals("other", reopened=False, seed=1) != undisturbed


def test_the_value_of_a_complete_trial_is_its_best_epoch_and_of_a_pruned_one_its_last(
    journal: Path,
) -> None:
    spec = make_search(training={"epochs": 3})
    study = open_study(spec, journal)
    run_trial(study, (0.2, 0.9, 0.5), epochs=3)
    run_trial(study, (0.7, 0.4), epochs=3)
    run_trial(study, (0.6,), epochs=3, error="step 3: nan")
    complete, pruned, failed = read_study(spec, journal).started_trials()
    assert (complete.state, complete.optuna_trial.value) == (TrialState.COMPLETE, 0.9)
    assert (pruned.state, pruned.optuna_trial.value) == (TrialState.PRUNED, 0.4)
    assert pruned.curve == pruned.optuna_trial.intermediate_values == {1: 0.7, 2: 0.4}
    assert (failed.state, failed.optuna_trial.value) == (TrialState.FAIL, None)
    assert failed.error == "step 3: nan"
    best = study.best_trial()
    assert best is not None
    assert best.optuna_trial == complete.optuna_trial


def test_a_trial_without_any_epoch_is_pruned() -> None:
    assert run_trial(create_study(make_search()), (), epochs=9) == TrialState.PRUNED


def test_a_trial_whose_metric_cannot_be_computed_fails_with_the_reason(journal: Path) -> None:
    spec = make_search(search={"metric": "dev"}, training={"epochs": 1})
    study = open_study(spec, journal)
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.5, validators={"dev": math.nan}), math.nan)
    state = study.tell_result(trial, epochs=1, error=None, wall_s=1)
    assert state == TrialState.FAIL
    error = read_study(spec, journal).trial(0).error
    assert error is not None
    assert error.startswith("search.metric dev cannot be computed")


def test_an_epoch_is_stored_once(journal: Path) -> None:
    spec = make_search()
    study = open_study(spec, journal)
    trial = study.ask()
    assert add_epoch(study, trial, 1, 0.5)
    reopened = open_study(spec, journal)
    [interrupted] = reopened.interrupted_trials()
    assert not add_epoch(reopened, interrupted, 1, 0.9)
    assert reopened.trial(0).curve == {1: 0.5}


def test_among_equals_the_lower_loss_is_best() -> None:
    study = create_study(make_search())
    assert study.best_trial() is None
    for loss in (0.9, 0.3, 0.6):
        run_trial(study, [0.5] * 9, epochs=9, loss=loss)
    best = study.best_trial()
    assert best is not None
    assert best.number == 1


def test_failed_trials_are_not_ranked_and_running_ones_on_request_only() -> None:
    study = create_study(make_search())
    run_trial(study, (0.2, 0.8), epochs=9)
    run_trial(study, (0.9,), epochs=9, error="step 3: nan")
    add_epoch(study, study.ask(), 1, 0.5)
    ranked = [(trial.number, epoch.number) for trial, epoch in study.ranked_epochs()]
    assert ranked == [(0, 2), (0, 1)]
    with_running = study.ranked_trials(include_running=True)
    assert [trial.number for trial in with_running] == [0, 2]


def test_the_ensemble_ranks_trials_by_their_last_epochs() -> None:
    study = create_study(make_search(search={"metric": "ensemble"}))
    run_trial(study, (0.9, 0.4), epochs=2)
    run_trial(study, (0.1, 0.6), epochs=2)
    ranked = [(trial.number, epoch.number) for trial, epoch in study.ranked_epochs()]
    assert ranked == [(1, 2), (1, 1), (0, 2), (0, 1)]


def test_the_last_symptom_of_an_unhealthy_trial_is_kept() -> None:
    study = create_study(make_search())
    trial = study.ask()
    for epoch, symptom in enumerate(("collapse: 0.1", "label flip: 4 as 9", None), start=1):
        health = HealthReport(1.0, 1.0, 0.0, 1.0, "", unhealthy=symptom)
        study.add_epoch(trial, make_record(epoch, 0.5, health=health), 0.5)
    study.tell_result(trial, epochs=9, error=None, wall_s=None)
    assert study.trial(0).unhealthy == "label flip: 4 as 9"
    run_trial(study, (0.5,), epochs=9)
    assert study.trial(1).unhealthy is None


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "nsga2", "grid"])
@pytest.mark.parametrize("startup_trials", [1, 9])
@pytest.mark.parametrize("drawn", [0, 1])
def test_a_trial_that_was_interrupted_before_its_last_value_gets_the_same_ones(
    journal: Path, sampler: str, startup_trials: int, drawn: int
) -> None:
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    spec = make_search(search={"startup_trials": startup_trials, "sampler": {"name": sampler}})
    study = open_study(spec, journal)
    for accuracy in (0.5, 0.6, 0.7):
        run_trial(study, [accuracy] * 9, epochs=9)
    asked = study.ask().params
    lines = journal.read_text().splitlines(keepends=True)
    values = [line for line in lines if '"param_name"' in line]
    assert '"param_name":"loss_weights.identity"' in values[-1]
    end = lines.index(values[-1])
    if not drawn:  # Optuna has created the trial, and its sampler has not seen it
        creations = [number for number, line in enumerate(lines) if '"op_code":4' in line]
        end = creations[-1] + 1
    journal.write_text("".join(lines[:end]))
    reopened = open_study(spec, journal)
    [incomplete] = reopened.interrupted_trials()
    assert len(incomplete.params) == drawn
    assert reopened.resume_trial(incomplete).params == asked


def test_an_interrupted_start_point_gets_its_own_values(journal: Path) -> None:
    point = {"loss_weights.cycle": 3.0}
    spec = make_search(search={"start_points": [point]})
    asked = open_study(spec, journal).ask().params
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))
    reopened = open_study(spec, journal)
    [incomplete] = reopened.interrupted_trials()
    assert incomplete.params == point
    assert reopened.resume_trial(incomplete).params == asked


def test_two_objectives_leave_a_pareto_front() -> None:
    spec = make_search(search={"trials": 12, "sampler": {"name": "nsga2", "population": 4}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = simulate(spec, None, smooth)
    trials = study.started_trials()
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert complete
    for trial in complete:
        active_s = 2.5 * 9  # the fake's seconds per epoch
        assert trial.optuna_trial.values == [trial.best_value, active_s]
        assert trial.optuna_trial.intermediate_values == {}
    best = study.best_trial()
    assert best is not None
    assert best.number in {trial.number for trial in study.pareto_front()}


def test_a_single_objective_has_no_pareto_front() -> None:
    study = create_study(make_search())
    run_trial(study, [0.5] * 9, epochs=9)
    assert study.pareto_front() == []


def test_the_study_knows_its_metric_and_its_warm_start(journal: Path) -> None:
    spec = make_search(search={"metric": "infomax"})
    study = open_study(spec, journal)
    study.record_warm_start({})
    assert describe_warm_start(study) is None
    study.record_warm_start({"results/first": 20, "results/second": 3})
    reopened = read_study(spec, journal)
    assert reopened.metric == "infomax"
    assert describe_warm_start(reopened) == (
        "warm start: the sampler also learned from 20 trial(s) of results/first,"
        " 3 trial(s) of results/second"
    )


def test_the_cost_of_an_epoch_does_not_depend_on_the_number_of_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def list_trials(*_: object, **__: object) -> None:
        raise AssertionError("all trials were listed")

    study = create_study(make_search(search={"trials": 9}))
    trial = study.ask()
    with monkeypatch.context() as patch:
        patch.setattr(type(study.optuna_study._storage), "get_all_trials", list_trials)
        assert study.add_epoch(trial, make_record(1, 0.5), 0.5)
        assert not study.add_epoch(trial, make_record(1, 0.5), 0.5)
        assert study.trial(trial.number).last_epoch == 1
        assert study.started == 1
        assert study.tell_result(trial, epochs=9, error=None, wall_s=1.0) == TrialState.PRUNED


def test_started_trials_are_counted_without_the_start_points_that_wait(tmp_path: Path) -> None:
    points = [{"loss_weights.cycle": 1.0}, {"loss_weights.cycle": 2.0}]
    spec = make_search(search={"start_points": points})
    study = open_study(spec, tmp_path / "study.journal")
    assert study.started == 0
    study.ask()
    assert study.started == len(study.started_trials()) == 1
    assert open_study(spec, tmp_path / "study.journal").started == 1
