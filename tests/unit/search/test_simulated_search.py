"""Searcher and scheduler together, undisturbed and killed, on learning curves in closed form."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState
from support.fake_search import FakeTrial, history, make_result, make_search, simulate, smooth

from adaptune.search.scheduler import StudyScheduler
from adaptune.search.searcher import StudySearcher
from adaptune.study import study as studies
from adaptune.study.objective import Objective
from adaptune.study.storage import open_study


def test_asha_stops_the_bad_and_lets_the_best_run(tmp_path: Path) -> None:
    study = simulate(make_search(), str(tmp_path / "journal"), smooth)
    trials = studies.started(study)
    stopped = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert len(trials) == 12
    assert len(stopped) >= 4
    assert {max(studies.curve(trial)) for trial in stopped} <= {1, 3}
    best = studies.best_trial(study)
    assert best is not None
    assert best.state == TrialState.COMPLETE


def test_without_a_rung_no_trial_is_stopped(tmp_path: Path) -> None:
    spec = make_search(search={"scheduler": {"grace_epochs": 9}, "trials": 4})
    study = simulate(spec, str(tmp_path / "journal"), smooth)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_the_model_improves_on_the_startup_trials(tmp_path: Path) -> None:
    spec = make_search(search={"trials": 24}, training={"epochs": 3}, seed=1)
    study = simulate(spec, str(tmp_path / "journal"), smooth)

    def ceilings(numbers: range) -> list[float]:
        return [smooth(study.trials[number].params, 3) for number in numbers]

    assert max(ceilings(range(6, 24))) > max(ceilings(range(6)))
    assert sum(ceilings(range(15, 24))) / 9 > sum(ceilings(range(6))) / 6


@pytest.mark.parametrize("kills", [(1,), (2, 3), (7, 7, 7), (11, 1, 1), (20,)])
def test_a_killed_search_ends_as_an_undisturbed_one(tmp_path: Path, kills: tuple[int, ...]) -> None:
    spec = make_search(search={"trials": 10, "startup_trials": 3}, seed=4)
    undisturbed = simulate(spec, str(tmp_path / "undisturbed"), smooth)
    journal = str(tmp_path / "killed")
    for stop_after in kills:
        simulate(spec, journal, smooth, stop_after=stop_after)
    assert history(simulate(spec, journal, smooth)) == history(undisturbed)


def test_a_rung_keeps_its_own_value_where_the_next_epoch_is_said_first(tmp_path: Path) -> None:
    """Killed between the checkpoint of epoch 2 and its report: rung 1 is decided by epoch 1."""
    spec, journal = make_search(), str(tmp_path / "journal")
    searcher = StudySearcher(
        spec, open_study(spec, journal), Objective(spec.search.metric), lambda _: 1
    )
    searcher.suggest("a")
    searcher.on_trial_result("a", make_result(1, 0.2))
    scheduler = StudyScheduler(spec, open_study(spec, journal), Objective(spec.search.metric))
    trial = FakeTrial("b", {"number": 0})
    scheduler.on_trial_add(None, trial)
    scheduler.on_trial_result(None, trial, make_result(2, 0.9))
    rungs = dict(scheduler._inner._brackets[0]._rungs)
    assert rungs[1] == {"b": 0.2}


def test_with_two_at_a_time_a_kill_loses_no_trial(tmp_path: Path) -> None:
    spec, journal = make_search(), str(tmp_path / "journal")
    simulate(spec, journal, smooth, concurrency=2, stop_after=9)
    study = simulate(spec, journal, smooth, concurrency=2)
    assert [trial.number for trial in study.trials] == list(range(12))
    assert all(trial.state.is_finished() for trial in study.trials)


def test_more_trials_extend_a_finished_search(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal")
    before = history(simulate(make_search(search={"trials": 4}), journal, smooth))
    after = history(simulate(make_search(search={"trials": 6}), journal, smooth))
    assert after[:4] == before
    assert after == history(
        simulate(make_search(search={"trials": 6}), str(tmp_path / "at-once"), smooth)
    )


@pytest.mark.parametrize("scheduler", ["asha", "median"])
@pytest.mark.parametrize("metric", ["target_val_accuracy", "ensemble"])
@pytest.mark.parametrize("every", [3, 5, 7])
def test_trials_that_are_put_back_change_no_number(
    tmp_path: Path, every: int, metric: str, scheduler: str
) -> None:
    spec = make_search(search={"trials": 12, "metric": metric, "scheduler": scheduler})
    undisturbed = simulate(spec, str(tmp_path / "undisturbed"), smooth)
    disturbed = simulate(spec, str(tmp_path / "disturbed"), smooth, put_back_every=every)
    assert history(disturbed) == history(undisturbed)
