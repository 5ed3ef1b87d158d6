"""Searcher and scheduler together on learning curves in closed form, undisturbed and disturbed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from support.fake_search import FakeTrial, FakeTune, history, make_search, simulate, smooth

from adaptune.study.study import SearchStudy

SCHEDULERS = ["asha", "hyperband", "median"]
METRICS = ["target_val_accuracy", "ensemble"]


def states(study: SearchStudy) -> list[TrialState]:
    return [trial.state for trial in study.started_trials()]


def test_asha_stops_the_bad_and_lets_the_best_run() -> None:
    study = simulate(make_search(), None, smooth)
    trials = study.started_trials()
    stopped = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert len(trials) == 12
    assert len(stopped) >= 4
    assert {trial.last_epoch for trial in stopped} <= {1, 3}
    best = study.best_trial()
    assert best is not None
    assert best.state == TrialState.COMPLETE


def test_without_a_rung_no_trial_is_stopped() -> None:
    spec = make_search(search={"scheduler": {"grace_epochs": 9}, "trials": 4})
    study = simulate(spec, None, smooth)
    assert set(states(study)) == {TrialState.COMPLETE}


def test_the_model_improves_on_the_startup_trials() -> None:
    spec = make_search(search={"trials": 24}, training={"epochs": 3}, seed=1)
    trials = simulate(spec, None, smooth).started_trials()

    def ceilings(numbers: range) -> list[float]:
        return [smooth(trials[number].values, 3) for number in numbers]

    assert max(ceilings(range(6, 24))) > max(ceilings(range(6)))
    assert sum(ceilings(range(15, 24))) / 9 > sum(ceilings(range(6))) / 6


def test_a_constant_metric_and_a_single_trial_come_to_an_end() -> None:
    flat = simulate(make_search(search={"trials": 8}), None, lambda *_: 0.5)
    assert [state.is_finished() for state in states(flat)] == [True] * 8
    single = simulate(make_search(search={"trials": 1}), None, smooth)
    assert states(single) == [TrialState.COMPLETE]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_stops_some_and_a_kill_changes_nothing(
    tmp_path: Path, scheduler: str
) -> None:
    spec = make_search(search={"trials": 12, "scheduler": {"name": scheduler}}, seed=2)
    undisturbed = simulate(spec, None, smooth)
    assert states(undisturbed).count(TrialState.PRUNED) >= 3
    assert states(undisturbed).count(TrialState.COMPLETE) >= 2
    killed = tmp_path / "killed"
    for stop_after in (4, 9, 1):
        simulate(spec, killed, smooth, stop_after=stop_after)
    assert history(simulate(spec, killed, smooth)) == history(undisturbed)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_ensemble_chooses_the_best_and_a_kill_changes_nothing(
    tmp_path: Path, scheduler: str
) -> None:
    spec = make_search(search={"trials": 16, "metric": "ensemble", "scheduler": scheduler})
    study = simulate(spec, None, smooth)
    assert states(study).count(TrialState.PRUNED) >= 5
    last_accuracies: dict[int, Any] = {}
    for trial in study.started_trials():
        last_accuracies[trial.number] = trial.epochs[-1].record.target_val_accuracy
    best = study.best_trial()
    assert best is not None
    assert last_accuracies[best.number] == max(last_accuracies.values())
    killed = tmp_path / "killed"
    simulate(spec, killed, smooth, stop_after=12)
    assert history(simulate(spec, killed, smooth)) == history(study)


@pytest.mark.parametrize("kills", [(1,), (2, 3), (7, 7, 7), (11, 1, 1), (20,)])
def test_a_killed_search_ends_as_an_undisturbed_one(tmp_path: Path, kills: tuple[int, ...]) -> None:
    spec = make_search(search={"trials": 10, "startup_trials": 3}, seed=4)
    undisturbed = simulate(spec, None, smooth)
    journal = tmp_path / "killed"
    for stop_after in kills:
        simulate(spec, journal, smooth, stop_after=stop_after)
    assert history(simulate(spec, journal, smooth)) == history(undisturbed)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kills", [(8,), (3, 8, 7)])  # the first trial has 9 epochs
def test_a_kill_between_a_checkpoint_and_its_report_changes_nothing(
    tmp_path: Path, scheduler: str, metric: str, kills: tuple[int, ...]
) -> None:
    spec = make_search(search={"trials": 10, "metric": metric, "scheduler": scheduler})
    undisturbed = simulate(spec, None, smooth)
    journal = tmp_path / "killed"
    for stop_after in kills:
        simulate(spec, journal, smooth, stop_after=stop_after, checkpoint_ahead=True)
    resumed = simulate(spec, journal, smooth, checkpoint_ahead=True)
    assert history(resumed) == history(undisturbed)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("every", [3, 5, 7])
@pytest.mark.parametrize(
    "disturb", [FakeTune.requeue, FakeTune.restart_process, FakeTune.replace_workers]
)
def test_disturbed_trials_give_the_same_results(
    disturb: Callable[[FakeTune, FakeTrial], None],
    every: int,
    metric: str,
    scheduler: str,
) -> None:
    spec = make_search(search={"trials": 12, "metric": metric, "scheduler": scheduler})
    undisturbed = simulate(spec, None, smooth)
    disturbed = simulate(spec, None, smooth, disturb=disturb, every=every)
    assert history(disturbed) == history(undisturbed)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("metric", METRICS)
def test_a_process_that_dies_between_two_trials_changes_nothing(
    metric: str, scheduler: str
) -> None:
    spec = make_search(search={"metric": metric, "scheduler": scheduler})
    disturbed: set[int] = set()

    def disturb(tune: FakeTune, trial: FakeTrial) -> None:
        number = trial.group.leader
        if number in disturbed:  # once per trial: the fourth time fails it
            tune.restart_process(trial)
        else:
            disturbed.add(number)
            tune.die_between_trials(trial)

    undisturbed = simulate(spec, None, smooth)
    assert history(simulate(spec, None, smooth, disturb=disturb)) == history(undisturbed)
    assert len(disturbed) > 5


@pytest.mark.parametrize("metric", METRICS)
def test_a_requeued_trial_that_the_median_rule_would_stop_earlier_today_continues(
    metric: str,
) -> None:
    median = {"name": "median", "grace_epochs": 2, "min_trials": 2}
    stopped = 0
    for seed in range(4):
        spec = make_search(search={"metric": metric, "scheduler": median}, seed=seed)
        undisturbed = simulate(spec, None, smooth)
        stopped += states(undisturbed).count(TrialState.PRUNED)
        requeued = simulate(spec, None, smooth, disturb=FakeTune.requeue)
        assert history(requeued) == history(undisturbed)
    assert stopped


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("metric", METRICS)
def test_with_several_at_a_time_a_kill_loses_no_trial(
    tmp_path: Path, metric: str, scheduler: str
) -> None:
    spec = make_search(search={"metric": metric, "scheduler": scheduler})
    journal = tmp_path / "journal"
    for stop_after in (9, 13):
        simulate(spec, journal, smooth, concurrency=3, stop_after=stop_after)
    study = simulate(spec, journal, smooth, concurrency=3)
    assert [trial.number for trial in study.started_trials()] == list(range(12))
    assert all(state.is_finished() for state in states(study))


def test_more_trials_extend_a_finished_search(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    longer = make_search(search={"trials": 6})
    before = history(simulate(make_search(search={"trials": 4}), journal, smooth))
    after = history(simulate(longer, journal, smooth))
    assert after[:4] == before
    assert after == history(simulate(longer, None, smooth))
