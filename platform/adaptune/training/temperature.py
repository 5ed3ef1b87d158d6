"""Probabilities of f_T calibrated for the target, without target labels.

The temperature (Guo et al. 2017) is fitted to source_val, whose images count by their importance
weights p_target / p_source (Park et al. 2020). The weights, and all that is estimated with them,
assume that images of the target that resemble those of the source have the same classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from scipy.special import log_softmax, softmax

from adaptune.data.array_types import Labels
from adaptune.data.device_images import DeviceImages
from adaptune.data.image_set import ImageSet
from adaptune.data.splits import TrialData
from adaptune.spec.base import Count, Fraction, Section
from adaptune.spec.schema import TrialSpec
from adaptune.training.build import build_classifier
from adaptune.training.state import StateDict
from adaptune.training.validation import predict_all
from adaptune.training.validators import EPSILON, Array

ABSTENTION_ACCURACY = 0.95
MIN_EFFECTIVE_SAMPLES = 30.0
_BINS = 15
_FOLDS = 5
_LOG_TEMPERATURES = (np.log(0.05), np.log(20.0))

Hits = npt.NDArray[np.bool_]
Probability = Annotated[float, Field(ge=0, le=1)]


class TargetCalibration(Section):
    """Calibration of f_T for the target: its temperature, and when to abstain."""

    method: str = Field(
        default="temperature by importance weights from source_val",
        description="how the probabilities are calibrated",
    )
    temperature: Annotated[float, Field(gt=0)] = Field(
        description="logits are divided by it before the softmax"
    )
    samples: Count = Field(description="images of source_val")
    effective_samples: float = Field(
        description="images of source_val that would be as informative without weights"
    )
    source_val_error: tuple[Probability, Probability] = Field(
        description="expected calibration error on the weighted source_val, before and after"
    )
    target_val_error: tuple[Probability, Probability] | None = Field(
        description="expected calibration error on target_val, before and after; null without"
        " labels"
    )
    abstention_accuracy: Fraction = Field(
        description="accuracy that the classifier shall have where it does not abstain"
    )
    threshold_from: Literal["target_val", "source_val"] = Field(
        description="images that the threshold was chosen on: target_val if it has labels,"
        " otherwise the weighted source_val"
    )
    threshold: Probability | None = Field(
        description="lowest calibrated probability at which the classifier does not abstain; null"
        " if no threshold gives that accuracy on these images"
    )
    coverage: Probability | None = Field(
        description="share of target_val at or above the threshold"
    )
    covered_target_val_accuracy: Probability | None = Field(
        description="accuracy on that share; null without labels"
    )


@dataclass(frozen=True)
class CalibrationData:
    """The part of the data of a search that calibration needs.

    Attributes:
        source_images: source_val.
        source_labels: int64 (S,).
        target_images: target_val.
        target_labels: int64 (T,); None if they are not known.
        classes: K.
    """

    source_images: ImageSet
    source_labels: Labels
    target_images: ImageSet
    target_labels: Labels | None
    classes: int

    @classmethod
    def of(cls, data: TrialData) -> CalibrationData:
        """Return that part."""
        return cls(
            data.source_val_images,
            data.source_val_labels,
            data.target_val_images,
            data.target_val_labels if data.target_labelled else None,
            len(data.class_names),
        )


def calibrate_for_target(
    source_logits: Array,
    source_labels: Labels,
    target_logits: Array,
    target_labels: Labels | None,
) -> TargetCalibration | None:
    """Return the calibration of f_T, or None if too few images of source_val resemble the target.

    Args:
        source_logits: of source_val, float64 (S, K).
        source_labels: int64 (S,).
        target_logits: of target_val, float64 (T, K).
        target_labels: int64 (T,); None if they are not known. They decide the threshold, because
            weights promise too much where the domains differ, but not the temperature.
    """
    if min(len(source_logits), len(target_logits)) < MIN_EFFECTIVE_SAMPLES:
        return None
    weights = importance_weights(source_logits, target_logits)
    effective = float(weights.sum() ** 2 / np.square(weights).sum())
    if effective < MIN_EFFECTIVE_SAMPLES:
        return None
    temperature = fit_temperature(source_logits, source_labels, weights)
    hits = source_logits.argmax(axis=1) == source_labels
    confidence = _confidence(source_logits, temperature)
    target_confidence = _confidence(target_logits, temperature)
    target_hits = None
    if target_labels is None:
        threshold = abstention_threshold(confidence, hits, weights, ABSTENTION_ACCURACY)
    else:
        target_hits = target_logits.argmax(axis=1) == target_labels
        equal = np.ones(len(target_hits))
        threshold = abstention_threshold(target_confidence, target_hits, equal, ABSTENTION_ACCURACY)
    covered = None if threshold is None else target_confidence >= threshold
    return TargetCalibration(
        temperature=temperature,
        samples=len(source_logits),
        effective_samples=effective,
        source_val_error=_errors(source_logits, hits, temperature, weights),
        target_val_error=(
            None if target_hits is None else _errors(target_logits, target_hits, temperature)
        ),
        abstention_accuracy=ABSTENTION_ACCURACY,
        threshold_from="source_val" if target_labels is None else "target_val",
        threshold=threshold,
        coverage=None if covered is None else float(covered.mean()),
        covered_target_val_accuracy=_covered_accuracy(target_hits, covered),
    )


def calibrate_weights(
    spec: TrialSpec, weights: StateDict, data: CalibrationData, device: torch.device
) -> TargetCalibration | None:
    """Return the calibration of f_T on the data of its search; see `calibrate_for_target`.

    Args:
        spec: a trial with the architecture of f_T.
        weights: weights of f_T.
        device: where the logits are computed.
    """
    classifier = build_classifier(spec.model.classifier, spec.data.target, data.classes)
    classifier.load_state_dict(weights)
    classifier.to(device)

    def logits(images: ImageSet) -> Array:
        device_images = DeviceImages(images, None, device, is_resident=False)
        array: Array = predict_all(classifier, device_images).logits.cpu().numpy()
        return array

    return calibrate_for_target(
        logits(data.source_images),
        data.source_labels,
        logits(data.target_images),
        data.target_labels,
    )


def importance_weights(source_logits: Array, target_logits: Array) -> Array:
    """Return p_target / p_source of each source image, with mean 1: (S, K), (T, K) → (S,).

    A logistic regression on the standardised logits tells the domains apart. The weight of an image
    comes from a fold of a cross-validation that was not trained on it.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logits = np.concatenate([source_logits, target_logits])
    is_target = np.arange(len(logits)) >= len(source_logits)
    domain_classifier = make_pipeline(StandardScaler(), LogisticRegression())
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # The classifier tells the domains apart even if it is far from convergence.
        warnings.simplefilter("ignore")
        p_domain = cross_val_predict(
            domain_classifier, logits, is_target, cv=folds, method="predict_proba"
        )
    p_source, p_target = p_domain[: len(source_logits)].clip(EPSILON).T
    ratios = p_target / p_source
    weights: Array = ratios / ratios.mean()
    return weights


def fit_temperature(logits: Array, labels: Labels, weights: Array) -> float:
    """Return the temperature, 0.05 to 20, that minimises the weighted cross-entropy.

    Args:
        logits: float64 (N, K).
        labels: int64 (N,).
        weights: of the images, at least 0, (N,).
    """
    from scipy.optimize import minimize_scalar

    def cross_entropy(log_temperature: float) -> float:
        log_p = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(weights @ log_p[np.arange(len(labels)), labels])

    best = minimize_scalar(cross_entropy, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(best.x))


def expected_calibration_error(
    confidence: Array, hits: Hits, weights: Array | None = None
) -> float:
    """Return the mean difference of confidence and accuracy in 15 bins, in [0, 1].

    Naeini et al. 2015, with bins of equal width; bins count by their weight.

    Args:
        confidence: probability of the predicted class, (N,).
        hits: which predictions are correct, (N,).
        weights: of the images, at least 0, (N,); None for equal ones.
    """
    if weights is None:
        weights = np.ones(len(hits))
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    # In a bin of weight w, w · |mean confidence − accuracy| = |Σ w_i (confidence_i − hit_i)|.
    gaps = np.bincount(bins, weights * (confidence - hits), minlength=_BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def abstention_threshold(
    confidence: Array, hits: Hits, weights: Array, accuracy: float
) -> float | None:
    """Return the lowest confidence from which on predictions have a weighted accuracy.

    Args:
        confidence: probability of the predicted class, (N,).
        hits: which predictions are correct, (N,).
        weights: of the images, at least 0, (N,).
        accuracy: accuracy to reach.

    Returns:
        0 if all predictions together reach it; None if no threshold does whose images are as
        informative as 30 without weights.
    """
    order = np.argsort(-confidence, kind="stable")
    total = weights[order].cumsum()
    reached = (weights * hits)[order].cumsum() >= accuracy * total
    effective = total**2 / np.square(weights[order]).cumsum()
    # Images of one confidence are accepted together.
    is_last = np.append(np.diff(confidence[order]) != 0, True)
    possible = np.flatnonzero(reached & is_last & (effective >= MIN_EFFECTIVE_SAMPLES))
    if not len(possible):
        return None
    last = possible[-1]
    return 0.0 if last == len(order) - 1 else float(confidence[order][last])


def _confidence(logits: Array, temperature: float) -> Array:
    confidence: Array = softmax(logits / temperature, axis=1).max(axis=1)
    return confidence


def _errors(
    logits: Array, hits: Hits, temperature: float, weights: Array | None = None
) -> tuple[float, float]:
    """Return the expected calibration error before and after."""
    before, after = (
        expected_calibration_error(_confidence(logits, divisor), hits, weights)
        for divisor in (1.0, temperature)
    )
    return before, after


def _covered_accuracy(hits: Hits | None, covered: Hits | None) -> float | None:
    if hits is None or covered is None or not covered.any():
        return None
    return float(hits[covered].mean())
