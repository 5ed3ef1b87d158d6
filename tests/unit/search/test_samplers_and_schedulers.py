"""Every sampler and scheduler in whole searches without training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from support.fake_search import FakeTrial, history, make_result, make_search, simulate, smooth

from adaptune.errors import ResultsError
from adaptune.results.lifecycle import claim
from adaptune.search.scheduler import StudyScheduler
from adaptune.study import study as studies
from adaptune.study.objective import Objective
from adaptune.study.storage import open_study
from adaptune.study.warm_start import priors

SAMPLERS = ["tpe", "gp", "cmaes", "random", "grid", "qmc", "nsga2"]


@pytest.fixture(autouse=True)
def _optunas_experimental_parts() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_stays_in_the_space_and_a_kill_changes_nothing(
    tmp_path: Path, sampler: str
) -> None:
    search = {
        "trials": 8,
        "startup_trials": 3,
        "sampler": {"name": sampler},
        "scheduler": {"name": "none"},
    }
    spec = make_search(search=search, training={"epochs": 2})
    undisturbed = simulate(spec, str(tmp_path / "undisturbed"), smooth)
    for trial in undisturbed.trials:
        assert trial.state == TrialState.COMPLETE
        assert 0.1 <= trial.params["loss_weights.cycle"] <= 30
    assert len({tuple(trial.params.values()) for trial in undisturbed.trials}) == 8
    killed = str(tmp_path / "killed")
    simulate(spec, killed, smooth, stop_after=3)
    assert _of(simulate(spec, killed, smooth)) == _of(undisturbed)


def _of(study: optuna.Study) -> Any:
    return [(t.number, t.params, t.values) for t in study.trials]


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "median"])
def test_every_scheduler_stops_some_and_a_kill_changes_nothing(
    tmp_path: Path, scheduler: str
) -> None:
    spec = make_search(search={"trials": 12, "scheduler": {"name": scheduler}}, seed=2)
    undisturbed = simulate(spec, str(tmp_path / "undisturbed"), smooth)
    states = [trial.state for trial in undisturbed.trials]
    assert states.count(TrialState.PRUNED) >= 3
    assert states.count(TrialState.COMPLETE) >= 2
    killed = str(tmp_path / "killed")
    for stop_after in (4, 9, 1):
        simulate(spec, killed, smooth, stop_after=stop_after)
    assert history(simulate(spec, killed, smooth)) == history(undisturbed)


def test_a_grid_has_every_setting_once_and_ends_there(tmp_path: Path) -> None:
    grid = {"trials": 10, "sampler": {"name": "grid", "points": 2}, "scheduler": {"name": "none"}}
    spec = make_search(search=grid, training={"epochs": 1})
    assert spec.planned_trials == 4
    study = simulate(spec, str(tmp_path / "journal"), smooth)
    settings = {
        (t.params["loss_weights.cycle"], t.params["loss_weights.identity"]) for t in study.trials
    }
    assert settings == {(0.1, 0.0), (0.1, 5.0), (30.0, 0.0), (30.0, 5.0)}
    assert len(study.trials) == 4


def test_two_objectives_leave_a_pareto_front(tmp_path: Path) -> None:
    spec = make_search(search={"trials": 12, "sampler": {"name": "nsga2", "population": 4}})
    study = simulate(spec, str(tmp_path / "journal"), smooth)
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert all(trial.values[1] == 2.5 * 9 for trial in complete)  # the fake's seconds an epoch
    best = studies.best_trial(study)
    assert best is not None
    assert best.number in {trial.number for trial in study.best_trials}


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "median"])
def test_the_ensemble_guides_a_search_and_re_ranks_what_its_scheduler_has_seen(
    tmp_path: Path, scheduler: str
) -> None:
    spec = make_search(search={"trials": 16, "metric": "ensemble", "scheduler": scheduler})
    study = simulate(spec, str(tmp_path / "journal"), smooth)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.PRUNED) >= 5
    best = studies.best_trial(study)
    assert best is not None
    finals = {
        trial.number: studies.records(trial)[-1]["target_val_accuracy"] for trial in study.trials
    }
    assert finals[best.number] == max(finals.values())
    killed = str(tmp_path / "killed")
    simulate(spec, killed, smooth, stop_after=12)
    assert history(simulate(spec, killed, smooth)) == history(study)


def test_a_constant_metric_and_a_single_trial_come_to_an_end(tmp_path: Path) -> None:
    flat = simulate(
        make_search(search={"trials": 8}), str(tmp_path / "flat"), lambda values, epoch: 0.5
    )
    assert [trial.state.is_finished() for trial in flat.trials] == [True] * 8
    single = simulate(make_search(search={"trials": 1}), str(tmp_path / "single"), smooth)
    assert [trial.state for trial in single.trials] == [TrialState.COMPLETE]


def an_earlier_search(out: Path, trials: int) -> Path:
    spec = make_search(search={"trials": trials}, training={"epochs": 1}, storage={"out": str(out)})
    folder = claim(spec, resume=False)
    simulate(spec, str(folder.journal), smooth)
    return folder.path


def test_a_warm_start_learns_from_trials_that_stay_out_of_the_study(tmp_path: Path) -> None:
    search = {"trials": 5, "warm_start": [str(an_earlier_search(tmp_path, trials=20))]}
    warm = make_search(search=search, training={"epochs": 1}, seed=3)
    assert [len(trials) for trials in priors(warm).values()] == [20]
    study = simulate(warm, str(tmp_path / "new"), smooth)
    assert (
        studies.warm_start(study)
        == f"warm start: 20 trial(s) of {search['warm_start'][0]} counted as seen"
    )
    assert [trial.number for trial in study.trials] == list(range(5))
    cold = simulate(
        make_search(search={"trials": 5}, training={"epochs": 1}, seed=3),
        str(tmp_path / "cold"),
        smooth,
    )
    mean = [sum(smooth(trial.params, 1) for trial in found.trials) / 5 for found in (study, cold)]
    assert mean[0] > mean[1]


def test_a_warm_start_takes_only_what_lies_in_the_space_and_was_guided_alike(
    tmp_path: Path,
) -> None:
    warm = {"warm_start": [str(an_earlier_search(tmp_path, trials=6))]}
    narrow = make_search(
        search=warm, space={"loss_weights.cycle": {"search": "uniform", "low": 1000, "high": 2000}}
    )
    assert list(priors(narrow).values()) == [[]]
    wider = {
        f"loss_weights.{term}": {"search": "uniform", "low": 0, "high": 100}
        for term in ("cycle", "feature")
    }
    (trials,) = priors(make_search(search=warm, space=wider)).values()
    assert len(trials) == 6
    assert {trial.params["loss_weights.feature"] for trial in trials} == {
        0.1
    }  # as the earlier search fixed it
    with pytest.raises(
        ResultsError, match="was guided by target_val_accuracy, this search is by infomax"
    ):
        priors(make_search(search=warm | {"metric": "infomax"}))


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp"])
def test_a_conditional_value_is_drawn_only_with_what_it_hangs_on(
    tmp_path: Path, sampler: str
) -> None:
    conditional = {
        "search": "uniform",
        "low": 1,
        "high": 5,
        "when": {"training.gan_loss": "log"},
        "otherwise": 0,
    }
    space = {
        "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 30},
        "loss_weights.identity": conditional,
        "training.gan_loss": {"search": "choice", "values": ["lsgan", "log"]},
    }
    search = {"trials": 14, "startup_trials": 3, "sampler": sampler, "scheduler": "none"}
    spec = make_search(search=search, space=space, training={"epochs": 1})

    def curve(values: dict[str, Any], epoch: int) -> float:
        return smooth(
            values | {"loss_weights.identity": values.get("loss_weights.identity", 0)}, epoch
        )

    study = simulate(spec, str(tmp_path / "journal"), curve)
    for trial in study.trials:
        conditioned = trial.params["training.gan_loss"] == "log"
        assert ("loss_weights.identity" in trial.params) == conditioned
        weight = spec.trial(trial.params).loss_weights.identity
        assert (1 <= weight <= 5) if conditioned else weight == 0
    assert {trial.params["training.gan_loss"] for trial in study.trials} == {"log", "lsgan"}


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "none"])
def test_a_failed_trial_leaves_the_scheduler_at_work(tmp_path: Path, name: str) -> None:
    spec = make_search(search={"scheduler": {"name": name}})
    scheduler = StudyScheduler(
        spec, open_study(spec, str(tmp_path / "journal")), Objective(spec.search.metric)
    )
    failed, *others = (FakeTrial(f"trial-{number}", {"number": number}) for number in range(6))
    scheduler.on_trial_add(None, failed)
    scheduler.on_trial_result(None, failed, make_result(1, 0.5))
    scheduler.on_trial_complete(None, failed, {"error": "step 3: nan", "done": True})
    for number, trial in enumerate(others):
        scheduler.on_trial_add(None, trial)
        assert (
            scheduler.on_trial_result(None, trial, make_result(1, 0.6 + 0.05 * number))
            == "CONTINUE"
        )
