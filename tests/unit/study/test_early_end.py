from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from support.fake_search import history, make_search, simulate, smooth

from adaptune.spec.schema import SearchSpec
from adaptune.study.requests import Request
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy

CYCLE = "loss_weights.cycle"
RULE = {"gain_below": 3, "confidence": 0.9, "complete_trials": 5}
PLANNED = 40


def make_spec(trials: int = PLANNED, **search: Any) -> SearchSpec:
    options = {"trials": trials, "scheduler": "none", "stop_when": RULE} | search
    return make_search(search=options, training={"epochs": 3})


def started(study: SearchStudy) -> int:
    return len(study.started_trials())


@pytest.mark.parametrize("sampler", ["curves", "tpe"])
def test_a_search_ends_when_hardly_anything_is_left_to_gain(sampler: str) -> None:
    study = simulate(make_spec(sampler=sampler), None, smooth)
    count = started(study)
    assert 20 <= count < PLANNED
    trials = study.started_trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    best = max(smooth(trial.values, 3) for trial in trials)
    later = simulate(make_spec(sampler=sampler, stop_when=None), None, smooth)
    assert started(later) == PLANNED
    assert max(smooth(trial.values, 3) for trial in later.started_trials()) < best + 0.03
    description = study.early_end.describe()
    assert description is not None
    assert f"after {count} of {PLANNED} trials" in description
    assert "gains more than 3 points" in description
    assert description.endswith(f"{PLANNED - count} trial(s) were not needed.")


def test_it_does_not_end_before_enough_trials_are_complete() -> None:
    for complete, expected in ((4, 20), (23, 23)):  # two searched values
        rule = {"gain_below": 99, "complete_trials": complete}
        assert started(simulate(make_spec(stop_when=rule), None, smooth)) == expected


def test_it_does_not_end_while_much_may_be_left_to_gain() -> None:
    rule = {"gain_below": 0.01, "confidence": 0.99}
    study = simulate(make_spec(26, sampler="random", stop_when=rule), None, smooth)
    assert started(study) == 26


def test_trials_that_were_asked_for_are_tried_first() -> None:
    points = [{CYCLE: 0.5 + number} for number in range(22)]
    rule = {"gain_below": 99}
    study = simulate(make_spec(stop_when=rule, start_points=points), None, smooth)
    assert started(study) == 22


def test_a_search_of_no_values_trains_all_of_its_trials() -> None:
    options = {"trials": 8, "scheduler": "none", "stop_when": {"gain_below": 99}}
    spec = make_search(space={}, search=options, training={"epochs": 2})
    assert started(simulate(spec, None, lambda values, epoch: 0.5)) == 8


def test_running_trials_train_on() -> None:
    study = simulate(make_spec(), None, smooth, concurrency=3)
    assert {trial.state for trial in study.started_trials()} == {TrialState.COMPLETE}
    assert started(study) < PLANNED


def test_ten_kills_change_nothing(journal: Path) -> None:
    spec = make_spec()
    undisturbed = simulate(spec, None, smooth)
    for kill in range(10):
        simulate(spec, journal, smooth, stop_after=2 + kill % 4)
    resumed = simulate(spec, journal, smooth)
    assert history(resumed) == history(undisturbed)
    assert resumed.early_end.describe() == undisturbed.early_end.describe()


@pytest.mark.parametrize("prefix", ["early_end", "request:"])
def test_a_kill_before_the_end_is_stored_changes_nothing(
    journal: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    spec = make_spec()
    undisturbed = simulate(spec, None, smooth)
    store = optuna.Study.set_user_attr

    def kill(study: optuna.Study, key: str, value: object) -> None:
        if key.startswith(prefix):
            raise SystemExit
        store(study, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", kill)
        with pytest.raises(SystemExit):
            simulate(spec, journal, smooth)
    assert history(simulate(spec, journal, smooth)) == history(undisturbed)


def test_added_trials_are_trained_and_the_search_does_not_end_again(journal: Path) -> None:
    spec = make_spec()
    count = started(simulate(spec, journal, smooth))
    study = open_study(spec, journal)
    study.steering.carry_out("9", Request(action="add", trials=3), planned=PLANNED)
    assert started(simulate(spec, journal, smooth)) == count + 3
    description = open_study(spec, journal).early_end.describe()
    assert description is not None
    assert description.endswith("It was continued afterwards.")


def test_a_search_with_more_trials_continues(journal: Path) -> None:
    simulate(make_spec(), journal, smooth)
    assert started(simulate(make_spec(PLANNED + 2), journal, smooth)) == PLANNED + 2


def test_a_search_without_the_rule_does_not_end(journal: Path) -> None:
    study = simulate(make_spec(12, stop_when=None), None, smooth)
    assert started(study) == 12
    assert study.early_end.describe() is None
    assert not study.early_end.has_come
