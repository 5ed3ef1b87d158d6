from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_search import SPACE, make_record, make_search, simulate, smooth

from adaptune.errors import ResultsError
from adaptune.results.lifecycle import create_or_resume
from adaptune.spec.schema import SearchSpec
from adaptune.study.parameters import decode
from adaptune.study.storage import open_study
from adaptune.study.study import SearchStudy
from adaptune.study.warm_start import describe_warm_start, prior_trials


def earlier_spec(out: Path, trials: int, **sections: Any) -> SearchSpec:
    return make_search(
        search={"trials": trials} | sections.pop("search", {}),
        training={"epochs": 1},
        storage={"out": str(out)},
        **sections,
    )


def earlier_search(out: Path, trials: int, **sections: Any) -> Path:
    """The results folder of a finished search of one epoch per trial."""
    spec = earlier_spec(out, trials, **sections)
    folder = create_or_resume(spec, resume=False)
    simulate(spec, folder.journal, smooth)
    return folder.path


def mean_quality(study: SearchStudy) -> float:
    trials = study.started_trials()
    return sum(smooth(trial.values, 1) for trial in trials) / len(trials)


def test_a_warm_start_learns_from_trials_that_stay_out_of_the_study(tmp_path: Path) -> None:
    folder = str(earlier_search(tmp_path, trials=20))
    search = {"trials": 5, "warm_start": [folder]}
    warm = make_search(search=search, training={"epochs": 1}, seed=3)
    priors = prior_trials(warm)
    assert [len(trials) for trials in priors.values()] == [20]
    study = simulate(warm, None, smooth, prior_trials=priors)
    assert describe_warm_start(study) == (
        f"warm start: the sampler also learned from 20 trial(s) of {folder}"
    )
    assert [trial.number for trial in study.started_trials()] == list(range(5))
    cold_spec = make_search(search={"trials": 5}, training={"epochs": 1}, seed=3)
    cold = simulate(cold_spec, None, smooth)
    assert mean_quality(study) > mean_quality(cold)


def test_values_outside_of_the_space_are_left_out(tmp_path: Path) -> None:
    warm = {"warm_start": [str(earlier_search(tmp_path, trials=6))]}
    narrow = {"loss_weights.cycle": {"search": "uniform", "low": 1000, "high": 2000}}
    assert list(prior_trials(make_search(search=warm, space=narrow)).values()) == [[]]


def test_the_value_of_an_earlier_trial_is_its_rank(tmp_path: Path) -> None:
    folder = earlier_search(tmp_path, trials=6)
    [trials] = prior_trials(make_search(search={"warm_start": [str(folder)]})).values()
    by_value = sorted(trials, key=lambda trial: trial.value or 0)
    assert [trial.value for trial in by_value] == [(rank + 0.5) / 6 for rank in range(6)]
    qualities = [smooth(trial.params, 1) for trial in by_value]
    assert qualities == sorted(qualities)


def test_a_value_that_the_earlier_search_held_fixed_counts(tmp_path: Path) -> None:
    warm = {"warm_start": [str(earlier_search(tmp_path, trials=6))]}
    wider = {
        f"loss_weights.{term}": {"search": "uniform", "low": 0, "high": 100}
        for term in ("cycle", "feature")
    }
    [trials] = prior_trials(make_search(search=warm, space=wider)).values()
    assert len(trials) == 6
    assert {trial.params["loss_weights.feature"] for trial in trials} == {0.1}


def test_a_value_0_beside_a_range_counts(tmp_path: Path) -> None:
    warm = {"warm_start": [str(earlier_search(tmp_path, trials=6))]}
    weight = "loss_weights.confusion"  # 0 in the earlier search
    with_zero = {weight: {"search": "loguniform", "low": 0.1, "high": 10, "zero": 0.2}}
    spec = make_search(search=warm, space=with_zero)
    priors = prior_trials(spec)
    [trials] = priors.values()
    assert len(trials) == 6
    for trial in trials:
        assert decode(spec.space, trial.params) == {weight: 0.0}
    study = simulate(spec, None, lambda values, epoch: 0.5, prior_trials=priors)
    assert len(study.started_trials()) == 12


def test_a_conditional_value_counts_only_if_it_would_have_been_drawn(tmp_path: Path) -> None:
    warm = {"warm_start": [str(earlier_search(tmp_path, trials=6))]}
    conditional = SPACE | {
        "training.gan_loss": {"search": "choice", "values": ["lsgan", "log"]},
        "loss_weights.identity": {
            "search": "uniform",
            "low": 0,
            "high": 5,
            "when": {"training.gan_loss": "log"},
            "otherwise": 0,
        },
    }
    [trials] = prior_trials(make_search(search=warm, space=conditional)).values()
    assert [set(trial.params) for trial in trials] == [
        {"loss_weights.cycle", "training.gan_loss"}
    ] * 6


def test_only_finished_trials_with_an_epoch_count(tmp_path: Path) -> None:
    spec = earlier_spec(tmp_path, trials=6)
    folder = create_or_resume(spec, resume=False)
    study = open_study(spec, folder.journal)
    for accuracy, error in ((0.5, None), (0.6, "step 3: nan"), (None, None)):
        trial = study.ask()
        if accuracy is not None:
            study.add_epoch(trial, make_record(1, accuracy), accuracy)
        study.tell_result(trial, epochs=1, error=error, wall_s=None)
    study.ask()
    [trials] = prior_trials(make_search(search={"warm_start": [str(folder.path)]})).values()
    assert [trial.value for trial in trials] == [0.5]


def test_a_search_of_another_metric_is_refused(tmp_path: Path) -> None:
    warm = {"warm_start": [str(earlier_search(tmp_path, trials=1))]}
    message = "maximised target_val_accuracy, this search maximises infomax"
    with pytest.raises(ResultsError, match=message):
        prior_trials(make_search(search=warm | {"metric": "infomax"}))


def test_ranks_of_different_searches_are_not_compared(tmp_path: Path) -> None:
    ensemble = {"metric": "ensemble"}
    folder = earlier_search(tmp_path, trials=1, search=ensemble)
    with pytest.raises(ResultsError, match="values cannot be compared"):
        prior_trials(make_search(search=ensemble | {"warm_start": [str(folder)]}))


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no search"):
        prior_trials(make_search(search={"warm_start": [str(tmp_path)]}))
