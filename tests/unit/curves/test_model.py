from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.curve_data import HORIZON, observe

from adaptune.curves.fit import fit_kernel
from adaptune.curves.model import CurveModel, Observations, Scale


def model_of(observations: Observations) -> CurveModel:
    return CurveModel(observations, fit_kernel(observations, HORIZON), HORIZON)


def test_the_end_of_new_settings_is_predicted() -> None:
    model = model_of(observe(20))
    settings = np.random.default_rng(1).uniform(0.1, 0.9, size=(30, 2))
    means, stds = model.predict(settings, HORIZON)
    expected = (1 - 0.7**HORIZON) * np.sin(3 * settings[:, 0])
    assert means == pytest.approx(expected, abs=0.1)
    assert np.mean(np.abs(means - expected) < 2 * stds) > 0.9


def test_a_trial_that_stopped_early_is_predicted_from_the_others() -> None:
    complete = observe(20)
    partial = complete.subset((complete.trials != 7) | (complete.epochs == 1))
    [mean], [std] = model_of(partial).predict_trials(
        complete.settings[complete.trials == 7][:1], np.array([7]), HORIZON
    )
    [end] = complete.values[(complete.trials == 7) & (complete.epochs == HORIZON)]
    assert mean == pytest.approx(end, abs=3 * std)
    assert std < 0.2


def test_the_own_epochs_of_a_trial_tell_more_than_its_settings() -> None:
    observations = observe(12)
    shifted = replace(observations, values=observations.values + 0.3 * (observations.trials == 5))
    model = model_of(shifted)
    settings = observations.settings[observations.trials == 5][:1]
    [with_seed], _ = model.predict_trials(settings, np.array([5]), HORIZON)
    [without_seed], _ = model.predict(settings, HORIZON)
    assert with_seed > without_seed


def test_less_is_known_far_from_all_settings_and_with_more_noise() -> None:
    observations = observe(12)
    kernel = fit_kernel(observations, HORIZON)
    at = observations.settings[:1]
    stds = []
    for variances in (observations.variances, observations.variances + 0.1):
        noisy = replace(observations, variances=variances)
        stds.append(CurveModel(noisy, kernel, HORIZON).predict(at, HORIZON)[1][0])
    assert stds[0] < stds[1]
    model = CurveModel(observations, kernel, HORIZON)
    assert model.predict(at + 5, HORIZON)[1][0] > 2 * stds[0]


def test_trials_are_predicted_without_themselves() -> None:
    observations = observe(20)
    assert model_of(observations).leave_one_out_correlation() > 0.9
    shuffled = np.random.default_rng(0).permutation(20)
    unrelated = replace(observations, settings=observations.settings[::3][shuffled].repeat(3, 0))
    assert model_of(unrelated).leave_one_out_correlation() < 0.6
    assert model_of(observe(2)).leave_one_out_correlation() == 0.0


def test_leaving_a_trial_out_in_one_step_equals_a_model_without_it() -> None:
    observations = observe(8)
    kernel = fit_kernel(observations, HORIZON)
    left_out = observations.trials == 3
    model = CurveModel(observations, kernel, HORIZON)
    scale = Scale.of(observations.values)
    others = CurveModel(observations.subset(~left_out), kernel, HORIZON)
    others._scale = scale
    others._observations = scale.standardise(observations.subset(~left_out))
    others._condition()
    settings = observations.settings[left_out][:1]
    [expected], _ = others.predict_trials(settings, np.array([3]), HORIZON)
    assert model.predictions_without_own()[3] == pytest.approx((expected - scale.mean) / scale.std)


def test_draws_have_the_mean_and_the_deviation_of_the_prediction_and_agree_nearby() -> None:
    model = model_of(observe(6))
    settings = np.array([[0.2, 0.2], [0.2, 0.201], [0.9, 0.9]])
    draws = model.draw(settings, HORIZON, 4000, np.random.default_rng(0))
    means, stds = model.predict(settings, HORIZON)
    assert draws.mean(axis=0) == pytest.approx(means, abs=0.1 * stds.max())
    assert draws.std(axis=0) == pytest.approx(stds, rel=0.05)
    correlations = np.corrcoef(draws.T)
    assert correlations[0, 1] > 0.99 > correlations[0, 2]
