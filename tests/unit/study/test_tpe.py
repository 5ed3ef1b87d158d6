from __future__ import annotations

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from adaptune.study.tpe import FailureAwareTPESampler

SPACE: dict[str, BaseDistribution] = {"weight": FloatDistribution(0, 1)}


def add_trial(study: optuna.Study, weight: float, value: float | None) -> None:
    """Add a complete trial, or a failed one without a value."""
    state = TrialState.FAIL if value is None else TrialState.COMPLETE
    study.add_trial(
        create_trial(state=state, params={"weight": weight}, distributions=SPACE, value=value)
    )


def study_with_a_cliff() -> optuna.Study:
    """The best results are at the edge of a region in which trials fail."""
    study = optuna.create_study(direction="maximize")
    for index in range(8):
        add_trial(study, 0.06 * index, 0.06 * index)
        add_trial(study, 0.51 + 0.06 * index, None)
    return study


def share_beyond_the_cliff(sampler_class: type[TPESampler]) -> float:
    study = study_with_a_cliff()
    beyond = 0
    for seed in range(40):
        study.sampler = sampler_class(seed=seed, n_startup_trials=6, multivariate=True)
        beyond += study.ask(SPACE).params["weight"] > 0.5
        study.tell(len(study.trials) - 1, state=TrialState.FAIL)
    return beyond / 40


def test_it_proposes_fewer_values_like_those_that_failed() -> None:
    assert share_beyond_the_cliff(FailureAwareTPESampler) <= 0.2
    assert share_beyond_the_cliff(TPESampler) > 0.4


def test_failed_trials_keep_their_state() -> None:
    study = study_with_a_cliff()
    study.sampler = FailureAwareTPESampler(seed=0, n_startup_trials=6, multivariate=True)
    study.ask(SPACE)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.FAIL) == 8
    assert TrialState.PRUNED not in states


def test_failures_do_not_end_the_random_start() -> None:
    proposals = []
    for sampler_class in (FailureAwareTPESampler, TPESampler):
        study = optuna.create_study(direction="maximize")
        for index in range(9):
            add_trial(study, index / 10, None)
        study.sampler = sampler_class(seed=0, n_startup_trials=6, multivariate=True)
        proposals.append(study.ask(SPACE).params)
    assert proposals[0] == proposals[1]


def test_without_any_result_no_failure_is_a_good_trial() -> None:
    proposals = []
    for failures in (0, 20):
        study = optuna.create_study(direction="maximize")
        for _ in range(failures):
            add_trial(study, 0.9, None)
        study.sampler = FailureAwareTPESampler(seed=0, n_startup_trials=0, multivariate=True)
        proposals.append(study.ask(SPACE).params)
    assert proposals[0] == proposals[1]


@pytest.mark.parametrize("failures", [0, 20, 200])
def test_failures_are_never_among_the_good_trials(failures: int) -> None:
    study = optuna.create_study(direction="maximize")
    for _ in range(failures):
        add_trial(study, 0.9, None)
    for index in range(6):
        add_trial(study, 0.1 + index / 100, index)
    weights = []
    for seed in range(20):
        study.sampler = FailureAwareTPESampler(seed=seed, n_startup_trials=6, multivariate=True)
        weights.append(study.ask(SPACE).params["weight"])
        study.tell(len(study.trials) - 1, state=TrialState.FAIL)
    assert sum(weight > 0.8 for weight in weights) <= 4
