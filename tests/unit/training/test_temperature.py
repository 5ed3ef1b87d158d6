"""Temperatures, calibration errors and thresholds agree with what is known of made-up logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from support.tiny_trial import CPU, make_data, make_source_weights, make_spec

from adaptune.data.domain import UNLABELLED
from adaptune.training.temperature import (
    ABSTENTION_ACCURACY,
    CalibrationData,
    TargetCalibration,
    abstention_threshold,
    calibrate_for_target,
    calibrate_weights,
    expected_calibration_error,
    fit_temperature,
    importance_weights,
)

Floats = NDArray[np.float64]


def sample(n: int, sharpness: Any, seed: int, shift: float = 0.0) -> tuple[Floats, NDArray[Any]]:
    """Return logits of three classes and labels; the logits are too large by `sharpness`."""
    random = np.random.default_rng(seed)
    true_logits = random.normal(0, 1.5, (n, 3)) + np.array([shift, 0, 0])
    # Labels of these probabilities (the Gumbel-max trick).
    labels = (true_logits + random.gumbel(size=(n, 3))).argmax(axis=1)
    return true_logits * sharpness, labels


def test_the_error_by_hand() -> None:
    # The bins [0.6, 0.667) and [0.8, 0.867): |0.6 - 1/2| / 2 + |0.8 - 1| / 2
    confidence = np.array([0.6, 0.6, 0.8, 0.8])
    hits = np.array([True, False, True, True])
    assert expected_calibration_error(confidence, hits) == pytest.approx(0.15)


def test_the_error_counts_images_by_their_weights() -> None:
    confidence = np.array([0.6, 0.6, 0.8, 0.8])
    hits = np.array([True, False, True, True])
    weights = np.array([3.0, 0.0, 1.0, 0.0])
    # 3/4 · |0.6 - 1| + 1/4 · |0.8 - 1|
    assert expected_calibration_error(confidence, hits, weights) == pytest.approx(0.35)


def test_certainty_is_in_the_last_bin() -> None:
    certain = np.ones(4)
    assert expected_calibration_error(certain, np.ones(4, dtype=bool)) == 0
    assert expected_calibration_error(certain, np.zeros(4, dtype=bool)) == 1


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 4.0])
def test_the_temperature_is_the_factor_by_which_logits_are_too_large(sharpness: float) -> None:
    logits, labels = sample(4000, sharpness, seed=0)
    temperature = fit_temperature(logits, labels, np.ones(len(labels)))
    assert temperature == pytest.approx(sharpness, rel=0.08)


def test_images_without_weight_do_not_count_for_the_temperature() -> None:
    logits, labels = sample(4000, 2.0, seed=0)
    wrong, any_labels = sample(4000, 9.0, seed=1)
    weights = np.repeat([1.0, 0.0], 4000)
    both = np.concatenate([logits, wrong]), np.concatenate([labels, any_labels])
    assert fit_temperature(*both, weights) == pytest.approx(2, rel=0.08)


def test_weights_are_higher_for_images_that_resemble_the_target() -> None:
    source, _ = sample(600, 1.0, seed=0)
    target, _ = sample(600, 1.0, seed=1, shift=2.0)
    weights = importance_weights(source, target)
    assert weights.mean() == pytest.approx(1)
    above = source[:, 0] > 1.5
    assert weights[above].mean() > 2 * weights[~above].mean()


def test_weights_of_domains_of_one_distribution_are_about_equal() -> None:
    source, _ = sample(2000, 1.0, seed=0)
    target, _ = sample(500, 1.0, seed=1)
    assert importance_weights(source, target).std() < 0.2


def test_the_threshold_by_hand() -> None:
    confidence = np.repeat([0.9, 0.8, 0.7, 0.6], 50)
    hits = np.concatenate([np.ones(100, dtype=bool), np.arange(100) % 2 == 0])
    weights = np.ones(200)
    assert abstention_threshold(confidence, hits, weights, 1.0) == 0.8
    assert abstention_threshold(confidence, hits, weights, 0.8) == 0.7  # 125 of 150
    assert abstention_threshold(confidence, hits, weights, 0.75) == 0
    assert abstention_threshold(confidence, ~hits, weights, 0.5) is None


def test_a_threshold_needs_enough_images() -> None:
    confidence = np.linspace(1, 0, 100)
    hits = np.arange(100) < 25
    assert abstention_threshold(confidence, hits, np.ones(100), 0.95) is None
    assert abstention_threshold(confidence, hits, np.ones(100), 0.5) == confidence[49]


def test_a_threshold_counts_images_by_their_weights() -> None:
    confidence = np.repeat([0.9, 0.6], 100)
    hits = np.concatenate([np.ones(100, dtype=bool), np.zeros(100, dtype=bool)])
    weights = np.repeat([19.0, 1.0], 100)
    assert abstention_threshold(confidence, hits, weights, 0.95) == 0


def shifted() -> tuple[Floats, NDArray[Any], Floats, NDArray[Any]]:
    """Return a source whose logits are right, and a target on which the classifier is too certain.

    Class 0 is where the target is: there, logits are three times too large in both domains.
    """
    source, source_labels = sample(4000, 1.0, seed=0)
    target, target_labels = sample(2000, 1.0, seed=1, shift=3.0)
    for logits in (source, target):
        logits[logits.argmax(axis=1) == 0] *= 3
    return source, source_labels, target, target_labels


def test_weights_calibrate_for_the_target_and_not_for_the_source() -> None:
    source, source_labels, target, target_labels = shifted()
    calibration = calibrate_for_target(source, source_labels, target, target_labels)
    assert calibration is not None
    unweighted = fit_temperature(source, source_labels, np.ones(len(source)))
    assert calibration.temperature > 1.2 * unweighted
    assert calibration.target_val_error is not None
    before, after = calibration.target_val_error
    assert after < 0.6 * before
    before, after = calibration.source_val_error
    assert after < before
    assert calibration.effective_samples < calibration.samples == 4000


@pytest.mark.parametrize("is_labelled", [True, False])
def test_the_classifier_is_as_accurate_as_planned_where_it_does_not_abstain(
    is_labelled: bool,
) -> None:
    source, source_labels, target, target_labels = shifted()
    known_labels = target_labels if is_labelled else None
    calibration = calibrate_for_target(source, source_labels, target, known_labels)
    assert calibration is not None
    assert calibration.threshold_from == ("target_val" if is_labelled else "source_val")
    assert calibration.threshold is not None
    assert calibration.coverage is not None
    hits = target.argmax(axis=1) == target_labels
    assert hits.mean() < 0.9
    confidence = softmax(target / calibration.temperature, axis=1).max(axis=1)
    covered = confidence >= calibration.threshold
    assert 0.2 < calibration.coverage < 1
    assert calibration.coverage == pytest.approx(covered.mean())
    # The weights are an estimate, while the labels are the images themselves.
    assert hits[covered].mean() > ABSTENTION_ACCURACY - (0 if is_labelled else 0.02)
    if is_labelled:
        assert calibration.covered_target_val_accuracy == pytest.approx(hits[covered].mean())


def test_labels_of_the_target_do_not_change_the_temperature() -> None:
    source, source_labels, target, target_labels = shifted()
    with_labels = calibrate_for_target(source, source_labels, target, target_labels)
    without = calibrate_for_target(source, source_labels, target, None)
    assert with_labels is not None
    assert without is not None
    assert with_labels.temperature == without.temperature
    assert with_labels.source_val_error == without.source_val_error
    assert without.target_val_error is None
    assert without.covered_target_val_accuracy is None


def test_too_few_images_give_no_calibration() -> None:
    logits, labels = sample(29, 1.0, seed=0)
    assert calibrate_for_target(logits, labels, logits, None) is None


def test_domains_that_have_nothing_in_common_give_no_calibration() -> None:
    source, labels = sample(200, 1.0, seed=0)
    source[0] += 60  # one image decides
    target, _ = sample(200, 1.0, seed=1)
    assert calibrate_for_target(source, labels, target + 60, None) is None


def test_the_classifier_of_a_search_is_calibrated_on_its_data() -> None:
    spec = make_spec()
    data = CalibrationData.of(make_data())
    assert calibrate_weights(spec, make_source_weights(spec), data, CPU) is None
    unlabelled = replace(make_data(), target_val_labels=np.full(9, UNLABELLED))
    assert CalibrationData.of(unlabelled).target_labels is None


def test_a_calibration_survives_json() -> None:
    source, source_labels, target, _ = shifted()
    calibration = calibrate_for_target(source, source_labels, target, None)
    assert calibration is not None
    text = calibration.model_dump_json()
    assert TargetCalibration.model_validate_json(text) == calibration
