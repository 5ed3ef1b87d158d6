"""Scores of a classifier on the target that need no target label; of all, more is better.

Ericsson et al. 2023 compare most of them over 21 shifts; none of them knows the truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import entr, log_softmax, softmax

Array = npt.NDArray[np.float64]
EPSILON = 1e-12
SND_TEMPERATURE = 0.05  # Saito et al. 2021
_FEWEST_FOR_DEV = 4  # of which a third is two


@dataclass(frozen=True)
class ValidatorInputs:
    """What f_T makes of source_val (S samples, labelled) and of target_val (T samples, labels unseen).

    Logits are float64 [S or T, K], features [S or T, D], labels int64 [S].
    """

    source_logits: Array
    source_features: Array
    source_labels: npt.NDArray[np.int64]
    target_logits: Array
    target_features: Array

    @cached_property
    def clusters(self) -> npt.NDArray[np.int32]:
        """K-means clusters of the target's features, K of them, [T]."""
        from sklearn.cluster import KMeans

        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # collapsed features have fewer distinct points than clusters
            means = KMeans(min(self.target_logits.shape), n_init=3, random_state=0)
            found: npt.NDArray[np.int32] = means.fit_predict(self.target_features)
        return found


def score_all(dump: ValidatorInputs) -> dict[str, float]:
    """Every validator's score, by name."""
    return {name: float(validator(dump)) for name, validator in VALIDATORS.items()}


def source_val(dump: ValidatorInputs) -> float:
    """Accuracy on source_val."""
    return float(_hits(dump).mean())


def entropy(dump: ValidatorInputs) -> float:
    """−E H(p), in nats (Morerio et al. 2018)."""
    return -float(_entropy(softmax(dump.target_logits, axis=1)).mean())


def infomax(dump: ValidatorInputs) -> float:
    """H(E p) − E H(p), in nats (Krause et al. 2010; Shi & Sha 2012)."""
    mean = softmax(dump.target_logits, axis=1).mean(axis=0)
    return float(_entropy(mean)) + entropy(dump)


def bnm(dump: ValidatorInputs) -> float:
    """Nuclear norm of the T × K probabilities, per sample (Cui et al. 2020)."""
    return float(
        np.linalg.norm(softmax(dump.target_logits, axis=1), "nuc") / len(dump.target_logits)
    )


def v_measure(dump: ValidatorInputs) -> float:
    """V-measure between predictions and K clusters of the target's features (Ericsson et al. 2023)."""
    from sklearn.metrics import v_measure_score

    return float(v_measure_score(dump.target_logits.argmax(axis=1), dump.clusters))


def ami(dump: ValidatorInputs) -> float:
    """Adjusted mutual information between predictions and K clusters of the target's features."""
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(dump.target_logits.argmax(axis=1), dump.clusters))


def snd(dump: ValidatorInputs) -> float:
    """Soft neighbourhood density (Saito et al. 2021, eq. 1–3): entropy of each sample's softmax over its neighbours.

    NaN for a single sample.
    """
    if len(dump.target_logits) < 2:
        return np.nan
    probabilities = softmax(dump.target_logits, axis=1)
    unit = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
    similarity = unit @ unit.T / SND_TEMPERATURE
    np.fill_diagonal(similarity, -np.inf)
    return float(_entropy(softmax(similarity, axis=1)).mean())


def importance_weighted(dump: ValidatorInputs) -> float:
    """Accuracy on source_val, weighted by target over source density (Sugiyama et al. 2007).

    Densities are Gaussian kernels' of width 1 on standardised logits: features have too many dimensions.
    """
    from sklearn.neighbors import KernelDensity
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.concatenate([dump.source_logits, dump.target_logits]))
    source, target = scaler.transform(dump.source_logits), scaler.transform(dump.target_logits)
    log_ratio = KernelDensity().fit(target).score_samples(source) - KernelDensity().fit(
        source
    ).score_samples(source)
    return float(softmax(log_ratio) @ _hits(dump))


def dev(dump: ValidatorInputs) -> float:
    """Deep embedded validation (You et al. 2019, algorithm 1): minus the weighted source risk, variance reduced.

    Two thirds of source_val and all of target_val train the classifier of domains; the other third is weighted.
    NaN where that third has fewer than two samples.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    if len(dump.source_labels) < _FEWEST_FOR_DEV:
        return np.nan
    train, rest = train_test_split(
        np.arange(len(dump.source_labels)), test_size=0.33, random_state=0
    )
    features = np.concatenate([dump.source_features[train], dump.target_features])
    is_source = np.arange(len(features)) < len(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # far from converged it still tells the domains apart
        domains = LogisticRegression().fit(features, is_source)
    odds = domains.predict_proba(dump.source_features[rest]).clip(EPSILON)
    weights = len(train) / len(dump.target_features) * odds[:, 0] / odds[:, 1]
    log_probability = log_softmax(dump.source_logits[rest], axis=1)
    risk = -weights * log_probability[np.arange(len(rest)), dump.source_labels[rest]]
    variance = weights.var(ddof=1)
    eta = -np.cov(risk, weights)[0, 1] / variance if variance else 0.0
    return -float(risk.mean() + eta * weights.mean() - eta)


VALIDATORS: dict[str, Callable[[ValidatorInputs], float]] = {
    "source_val": source_val,
    "entropy": entropy,
    "infomax": infomax,
    "v_measure": v_measure,
    "ami": ami,
    "bnm": bnm,
    "importance_weighted": importance_weighted,
    "dev": dev,
    "snd": snd,
}


def _hits(dump: ValidatorInputs) -> npt.NDArray[np.bool_]:
    hits: npt.NDArray[np.bool_] = dump.source_logits.argmax(axis=1) == dump.source_labels
    return hits


def _entropy(probabilities: Array) -> Array:
    """Over the last axis, in nats."""
    summed: Array = entr(probabilities).sum(axis=-1)
    return summed
