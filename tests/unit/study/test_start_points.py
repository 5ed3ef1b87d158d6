"""The trials that `search.start_points` named, among the other trials of a study."""

from __future__ import annotations

from pathlib import Path

from optuna.trial import TrialState, create_trial
from support.fake_search import SPACE, make_search

from adaptune.spec.distributions import Value
from adaptune.study.parameters import distributions
from adaptune.study.storage import open_study, read_study
from adaptune.study.study import SearchStudy, create_study

CYCLE = "loss_weights.cycle"
FEATURE = "loss_weights.feature"
IDENTITY = "loss_weights.identity"
GROUP_SPACE = {
    CYCLE: {"search": "loguniform", "low": 0.1, "high": 30},
    FEATURE: {"search": "uniform", "low": 0, "high": 5},
}


def start_points(study: SearchStudy) -> list[int]:
    return [trial.number for trial in study.started_trials() if trial.is_start_point]


def test_start_points_are_known_when_the_study_is_opened_again(tmp_path: Path) -> None:
    points: list[dict[str, Value]] = [{CYCLE: 10.0, IDENTITY: 1.0}, {CYCLE: 2.0}]
    spec = make_search(search={"start_points": points})
    journal = tmp_path / "study.journal"
    open_study(spec, journal).ask()
    study = open_study(spec, journal)
    [interrupted] = study.interrupted_trials()
    study.resume_trial(interrupted)
    study.ask()
    study.ask()
    assert start_points(read_study(spec, journal)) == [0, 1]
    assert not study.trial(2).is_start_point


def test_a_search_without_start_points_has_none() -> None:
    study = create_study(make_search())
    study.ask()
    assert start_points(study) == []


def test_trials_that_share_the_gan_of_a_start_point_are_none_themselves() -> None:
    points = [{CYCLE: 1.0}, {CYCLE: 2.0, FEATURE: 3.0}, {CYCLE: 2.0, FEATURE: 1.0}]
    search = {"start_points": points, "sampler": "random", "classifiers_per_gan": 3}
    study = create_study(make_search(space=GROUP_SPACE, search=search))
    first = study.ask_group(2)
    second = study.ask_group(3)
    member = study.trial(first[1].number).optuna_trial
    assert member.system_attrs["fixed_params"] == points[0]  # like the start point
    assert [trial.number for trial in (*first, *second)] == [0, 3, 1, 2, 4]
    assert start_points(study) == [0, 1, 2]


def test_trials_that_the_sampler_chose_after_a_warm_start_are_none() -> None:
    spec = make_search(search={"startup_trials": 1, "start_points": [{CYCLE: 10.0}]})
    prior = create_trial(
        state=TrialState.COMPLETE,
        value=0.5,
        params={CYCLE: 3.0, IDENTITY: 1.0},
        distributions=distributions(spec.space),
    )
    study = create_study(spec)
    for _ in range(3):
        study.ask([prior])
    assert "fixed_params" in study.trial(2).optuna_trial.system_attrs
    assert start_points(study) == [0]


def test_a_start_point_that_optuna_takes_for_a_repeat_leaves_its_place_to_others() -> None:
    points = [{CYCLE: 10.0}, {CYCLE: 10.0 + 1e-12}]
    assert SPACE.keys() == {CYCLE, IDENTITY}
    study = create_study(make_search(search={"start_points": points}))
    study.ask()
    study.ask()
    assert start_points(study) == [0]
