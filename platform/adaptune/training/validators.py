"""Validators: scores of f_T on the target that need no target label; a higher one is better.

Ericsson et al. 2023 compare most of them on 21 domain shifts. None of them knows the accuracy.

Notation: S samples of source_val, T samples of target_val, K classes, D features. p(y|x) is the
softmax of the logits of f_T, H the entropy, and E the mean over target_val.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import entr, log_softmax, softmax

from adaptune.data.domain import UNLABELLED
from adaptune.data.stratify import subset
from adaptune.seeding import derive_seed

Array = npt.NDArray[np.float64]
EPSILON = 1e-12
SND_TEMPERATURE = 0.05  # τ of Saito et al. 2021
_SND_ROWS = 1024  # of the (T, T) similarities, at a time
_SAMPLE_SEED = derive_seed(0, "validator sample")  # trials are scored on the same samples
_MIN_SAMPLES_FOR_DEV = 4  # a third of them has to be at least two


@dataclass(frozen=True)
class ValidatorInputs:
    """Outputs of f_T for source_val, with labels, and for target_val, without labels.

    Attributes:
        source_logits: float64 (S, K).
        source_features: inputs of f_T's last layer, (S, D).
        source_labels: int64 (S,).
        target_logits: float64 (T, K).
        target_features: (T, D).
    """

    source_logits: Array
    source_features: Array
    source_labels: npt.NDArray[np.int64]
    target_logits: Array
    target_features: Array

    def sample(self, limit: int) -> ValidatorInputs:
        """Return at most `limit` samples of each domain, the same ones at each call.

        Classes of the source keep their proportions.
        """
        source = subset(self.source_labels, limit, _SAMPLE_SEED)
        unknown_labels = np.full(len(self.target_logits), UNLABELLED)
        target = subset(unknown_labels, limit, _SAMPLE_SEED)
        return ValidatorInputs(
            source_logits=self.source_logits[source],
            source_features=self.source_features[source],
            source_labels=self.source_labels[source],
            target_logits=self.target_logits[target],
            target_features=self.target_features[target],
        )

    @cached_property
    def clusters(self) -> npt.NDArray[np.int32]:
        """The cluster of each target sample: K-means of the target's features, int32 (T,)."""
        from sklearn.cluster import KMeans

        with warnings.catch_warnings():
            # Features that have collapsed have fewer distinct points than there are clusters.
            warnings.simplefilter("ignore")
            k_means = KMeans(min(self.target_logits.shape), n_init=3, random_state=0)
            clusters: npt.NDArray[np.int32] = k_means.fit_predict(self.target_features)
        return clusters


def score_all(inputs: ValidatorInputs) -> dict[str, float]:
    """Return the score of each validator by name.

    Those that would take long on many samples read some of them, see `SAMPLES`.
    """
    samples = {limit: inputs.sample(limit) for limit in SAMPLES.values()}
    scores = {}
    for name, validator in VALIDATORS.items():
        read = samples[SAMPLES[name]] if name in SAMPLES else inputs
        scores[name] = float(validator(read))
    return scores


def source_val(inputs: ValidatorInputs) -> float:
    """Return the accuracy on source_val, in [0, 1]."""
    return float(_source_hits(inputs).mean())


def entropy(inputs: ValidatorInputs) -> float:
    """Return −E H(p(y|x)) in nats, in [−log K, 0] (Morerio et al. 2018)."""
    return -float(_entropy(softmax(inputs.target_logits, axis=1)).mean())


def infomax(inputs: ValidatorInputs) -> float:
    """Return H(E p(y|x)) − E H(p(y|x)) in nats, in [0, log K].

    This is the mutual information of image and class (Krause et al. 2010; Shi & Sha 2012).
    """
    mean = softmax(inputs.target_logits, axis=1).mean(axis=0)
    return float(_entropy(mean)) + entropy(inputs)


def bnm(inputs: ValidatorInputs) -> float:
    """Return ‖P‖_* / T, the nuclear norm of the (T, K) probabilities per sample.

    It is high if the predictions are certain and diverse (Cui et al. 2020): in (0, √(K / T)] if
    T ≥ K.
    """
    probabilities = softmax(inputs.target_logits, axis=1)
    return float(np.linalg.norm(probabilities, "nuc") / len(probabilities))


def v_measure(inputs: ValidatorInputs) -> float:
    """Return the V-measure of predictions and clusters of the target, in [0, 1].

    It is the harmonic mean of homogeneity and completeness (Rosenberg & Hirschberg 2007), for K
    clusters of the features (Ericsson et al. 2023).
    """
    from sklearn.metrics import v_measure_score

    return float(v_measure_score(inputs.target_logits.argmax(axis=1), inputs.clusters))


def ami(inputs: ValidatorInputs) -> float:
    """Return the adjusted mutual information of predictions and clusters of the target.

    It is 1 for equal partitions and 0 on average for independent ones (Vinh et al. 2010), so it
    may be slightly negative. The K clusters are those of the features.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(inputs.target_logits.argmax(axis=1), inputs.clusters))


def snd(inputs: ValidatorInputs) -> float:
    """Return the soft neighbourhood density in nats, in [0, log(T − 1)].

    It is the mean entropy of the softmax over a sample's similarities to all other samples, which
    are the cosines of their probabilities, divided by τ (Saito et al. 2021, eq. 1–3). NaN for a
    single sample.
    """
    if len(inputs.target_logits) < 2:
        return np.nan
    probabilities = softmax(inputs.target_logits, axis=1)
    unit = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
    entropies = []
    for start in range(0, len(unit), _SND_ROWS):
        rows = unit[start : start + _SND_ROWS]
        similarity = rows @ unit.T / SND_TEMPERATURE
        similarity[np.arange(len(rows)), np.arange(start, start + len(rows))] = -np.inf
        entropies.append(_entropy(softmax(similarity, axis=1)))
    return float(np.concatenate(entropies).mean())


def importance_weighted(inputs: ValidatorInputs) -> float:
    """Return the accuracy on source_val, weighted by the ratio of densities, in [0, 1].

    This is Σ w(x) · [f_T(x) = y] / Σ w(x), with w(x) = p_target(x) / p_source(x) (Sugiyama et al.
    2007). The densities are Gaussian kernel density estimates of bandwidth 1 on standardised
    logits, because features have too many dimensions.
    """
    from sklearn.neighbors import KernelDensity
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.concatenate([inputs.source_logits, inputs.target_logits]))
    source = scaler.transform(inputs.source_logits)
    target = scaler.transform(inputs.target_logits)
    log_target_density = KernelDensity().fit(target).score_samples(source)
    log_source_density = KernelDensity().fit(source).score_samples(source)
    weights = softmax(log_target_density - log_source_density)
    return float(weights @ _source_hits(inputs))


def dev(inputs: ValidatorInputs) -> float:
    """Return minus the deep embedded validation risk in nats (You et al. 2019, algorithm 1).

    The risk is mean(w · ℓ) + η · mean(w) − η, where ℓ is the cross-entropy on source samples,
    w = p_target / p_source comes from a classifier of domains on the features, and
    η = −Cov(w · ℓ, w) / Var(w) reduces the variance. Two thirds of source_val and all of
    target_val train the classifier of domains; the other third gives the risk.

    Returns:
        The score, any real number; NaN if that third has fewer than two samples.
    """
    if len(inputs.source_labels) < _MIN_SAMPLES_FOR_DEV:
        return np.nan
    rest, weights = _density_ratios(inputs)
    log_probabilities = log_softmax(inputs.source_logits[rest], axis=1)
    losses = -log_probabilities[np.arange(len(rest)), inputs.source_labels[rest]]
    risks = weights * losses
    variance = weights.var(ddof=1)
    eta = -np.cov(risks, weights)[0, 1] / variance if variance else 0.0
    return -float(risks.mean() + eta * weights.mean() - eta)


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

# Largest number of samples of each domain that a validator reads. The cost of some grows with the
# square of that number, and that of the others with the number of features. So many samples rank
# trials as all samples do, as far as the validator itself is certain; DEV needs the most.
SAMPLES = {
    "v_measure": 2000,
    "ami": 2000,
    "importance_weighted": 2000,
    "dev": 5000,
    "snd": 2000,
}


def _density_ratios(inputs: ValidatorInputs) -> tuple[npt.NDArray[np.int64], Array]:
    """Return a third of source_val: its indices, (R,), and p_target / p_source of each, (R,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    samples = np.arange(len(inputs.source_labels))
    train, rest = train_test_split(samples, test_size=0.33, random_state=0)
    features = np.concatenate([inputs.source_features[train], inputs.target_features])
    is_source = np.arange(len(features)) < len(train)
    with warnings.catch_warnings():
        # The classifier tells the domains apart even if it is far from convergence.
        warnings.simplefilter("ignore")
        domain_classifier = LogisticRegression().fit(features, is_source)
    p_domain = domain_classifier.predict_proba(inputs.source_features[rest]).clip(EPSILON)
    prior_ratio = len(train) / len(inputs.target_features)
    return rest, prior_ratio * p_domain[:, 0] / p_domain[:, 1]


def _source_hits(inputs: ValidatorInputs) -> npt.NDArray[np.bool_]:
    """Return which samples of source_val f_T classifies correctly, (S,)."""
    hits: npt.NDArray[np.bool_] = inputs.source_logits.argmax(axis=1) == inputs.source_labels
    return hits


def _entropy(probabilities: Array) -> Array:
    """Compute the entropy over the last axis in nats: (…, K) → (…)."""
    total: Array = entr(probabilities).sum(axis=-1)
    return total
