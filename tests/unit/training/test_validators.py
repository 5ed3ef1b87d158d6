"""Each validator against another computation of it, on random and on real logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
from scipy.stats import entropy as entropy_of
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, adjusted_mutual_info_score, v_measure_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from adaptune.spec.search import SearchOptions
from adaptune.training import validators as module
from adaptune.training.metrics import METRICS
from adaptune.training.record import ENSEMBLE
from adaptune.training.validators import SAMPLES, VALIDATORS, ValidatorInputs, score_all, snd


def random_inputs() -> ValidatorInputs:
    random = np.random.default_rng(3)
    return ValidatorInputs(
        source_logits=random.normal(size=(90, 4)) * 2,
        source_features=random.normal(size=(90, 7)),
        source_labels=random.integers(0, 4, 90),
        target_logits=random.normal(size=(70, 4)) * 2,
        target_features=random.normal(size=(70, 7)) + 0.3,
    )


def real_inputs() -> ValidatorInputs:
    """A classifier of digits on clear ones (source) and on dimmed, noisy ones (target)."""
    digits = load_digits()
    images = digits.data / 16
    labels = digits.target
    noise = np.random.default_rng(0).normal(size=(300, 64))
    target = images[1200:1500] * 0.7 + noise * 0.15
    model = LogisticRegression(C=0.1, max_iter=500).fit(images[:900], labels[:900])
    return ValidatorInputs(
        source_logits=model.decision_function(images[900:1200]),
        source_features=images[900:1200],
        source_labels=labels[900:1200].astype(np.int64),
        target_logits=model.decision_function(target),
        target_features=target,
    )


@pytest.fixture(params=[random_inputs, real_inputs], ids=["random", "real"])
def inputs(request: pytest.FixtureRequest) -> ValidatorInputs:
    outputs: ValidatorInputs = request.param()
    return outputs


def probabilities(logits: Any) -> Any:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_accuracy_and_entropies(inputs: ValidatorInputs) -> None:
    scores = score_all(inputs)
    p = probabilities(inputs.target_logits)
    assert scores["source_val"] == pytest.approx(
        accuracy_score(inputs.source_labels, inputs.source_logits.argmax(1))
    )
    assert scores["entropy"] == pytest.approx(-np.mean([entropy_of(row) for row in p]), abs=1e-6)
    # This is the mutual information of sample and class if all samples are equally likely.
    assert scores["infomax"] == pytest.approx(mutual_information(p), abs=1e-6)
    assert scores["bnm"] == pytest.approx(
        np.sqrt(np.linalg.eigvalsh(p.T @ p).clip(0)).sum() / len(p), abs=1e-6
    )


def mutual_information(p: Any) -> float:
    joint = p / len(p)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return float((joint * np.log(joint / independent)).sum())


def test_agreement_with_clusters(inputs: ValidatorInputs) -> None:
    classes = inputs.target_logits.shape[1]
    clusters = KMeans(classes, n_init=3, random_state=0).fit(inputs.target_features).labels_
    predicted = inputs.target_logits.argmax(axis=1)
    scores = score_all(inputs)
    assert scores["v_measure"] == pytest.approx(v_measure_score(predicted, clusters), abs=1e-6)
    assert scores["ami"] == pytest.approx(adjusted_mutual_info_score(predicted, clusters), abs=1e-6)


def test_soft_neighbourhood_density_one_sample_at_a_time(inputs: ValidatorInputs) -> None:
    p = probabilities(inputs.target_logits)
    unit = p / np.sqrt((p**2).sum(axis=1, keepdims=True))
    entropies = []
    for index, sample in enumerate(unit):
        similarities = np.delete(unit, index, axis=0) @ sample / 0.05
        entropies.append(entropy_of(np.exp(similarities - similarities.max())))
    assert score_all(inputs)["snd"] == pytest.approx(np.mean(entropies), abs=1e-6)


class Fixed(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts from the logits in the last columns of its inputs."""

    __metadata_request__score: ClassVar = {
        "sample_weight": True,
        "sample_domain": True,
        "allow_source": True,
    }
    __metadata_request__predict_proba: ClassVar = {"sample_domain": True, "allow_source": True}

    def __init__(self, classes: int = 2) -> None:
        self.classes = classes

    def fit(self, x: Any, y: Any) -> Fixed:
        self.classes_ = np.arange(self.classes)
        return self

    def predict_proba(self, x: Any, **_: Any) -> Any:
        return probabilities(x[:, -self.classes :])

    def score(self, x: Any, y: Any, sample_weight: Any = None, **_: Any) -> float:
        return float(
            accuracy_score(y, self.predict_proba(x).argmax(axis=1), sample_weight=sample_weight)
        )


def both_domains(source: Any, target: Any, labels: Any) -> tuple[Any, Any, Any]:
    """Return X, y and sample_domain as skada needs them, with masked target labels."""
    x = np.concatenate([source, target])
    y = np.concatenate([labels, np.full(len(target), -1)])
    domains = np.concatenate([np.full(len(source), 1), np.full(len(target), -2)])
    return x, y, domains


def test_entropy_as_skada_has_it(inputs: ValidatorInputs) -> None:
    metrics = pytest.importorskip("skada.metrics")
    classes = inputs.target_logits.shape[1]
    x, y, domains = both_domains(inputs.source_logits, inputs.target_logits, inputs.source_labels)
    scorer = metrics.PredictionEntropyScorer(reduction="sum")
    total = scorer(Fixed(classes).fit(x, y), x, y, sample_domain=domains)
    expected = total / len(inputs.target_logits)
    # skada adds 1e-7 in its logarithm.
    assert VALIDATORS["entropy"](inputs) == pytest.approx(expected, abs=1e-5)


def test_importance_weighting_as_skada_has_it(inputs: ValidatorInputs) -> None:
    metrics = pytest.importorskip("skada.metrics")
    scaler = StandardScaler().fit(np.concatenate([inputs.source_logits, inputs.target_logits]))
    source = scaler.transform(inputs.source_logits)
    target = scaler.transform(inputs.target_logits)
    x, y, domains = both_domains(source, target, inputs.source_labels)

    class Unscaled(Fixed):
        def predict_proba(self, x: Any, **_: Any) -> Any:
            return probabilities(scaler.inverse_transform(x))

    estimator = Unscaled(inputs.target_logits.shape[1]).fit(x, y)
    expected = metrics.ImportanceWeightedScorer()(estimator, x, y, sample_domain=domains)
    assert VALIDATORS["importance_weighted"](inputs) == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_deep_embedded_validation_as_skada_has_it(inputs: ValidatorInputs) -> None:
    metrics = pytest.importorskip("skada.metrics")
    classes = inputs.target_logits.shape[1]
    width = inputs.source_features.shape[1]
    source = np.concatenate([inputs.source_features, inputs.source_logits], axis=1)
    target = np.concatenate([inputs.target_features, inputs.target_logits], axis=1)
    x, y, domains = both_domains(source, target, inputs.source_labels)

    class OfFeatures(LogisticRegression):  # type: ignore[misc]
        """A domain classifier that reads the features only, not the logits next to them."""

        def fit(self, x: Any, y: Any) -> Any:
            return super().fit(x[:, :width], y)

        def predict_proba(self, x: Any) -> Any:
            return super().predict_proba(x[:, :width])

    pipeline = make_pipeline(FunctionTransformer(), Fixed(classes).fit(x, y))

    def risk(labels: Any, p: Any) -> Any:
        """Return a column, because skada multiplies it with a column of weights."""
        return -np.log(p[np.arange(len(labels)), labels])[:, None]

    scorer = metrics.DeepEmbeddedValidation(OfFeatures(), loss_func=risk, random_state=0)
    expected = scorer(pipeline, x, y, sample_domain=domains)
    assert VALIDATORS["dev"](inputs) == pytest.approx(expected, abs=1e-6)


def test_a_collapsed_classifier_has_finite_scores() -> None:
    inputs = random_inputs()
    collapsed = replace(
        inputs,
        target_logits=np.tile([9.0, 0, 0, 0], (70, 1)),
        target_features=np.ones((70, 7)),
    )
    scores = score_all(collapsed)
    assert all(np.isfinite(list(scores.values())))
    assert scores["infomax"] == pytest.approx(0, abs=1e-9)


def test_certain_and_balanced_predictions_have_the_highest_scores() -> None:
    logits = np.repeat(np.eye(4), 5, axis=0) * 1000
    features = np.repeat(np.eye(4, 7), 5, axis=0)
    scores = score_all(replace(random_inputs(), target_logits=logits, target_features=features))
    assert scores["entropy"] == pytest.approx(0)
    assert scores["infomax"] == pytest.approx(np.log(4))
    assert scores["bnm"] == pytest.approx(np.sqrt(4 / 20))
    assert scores["v_measure"] == pytest.approx(1)
    assert scores["ami"] == pytest.approx(1)


def test_undecided_predictions_have_the_lowest_entropy_score() -> None:
    logits = np.zeros((20, 4))
    features = random_inputs().target_features[:20]
    inputs = replace(random_inputs(), target_logits=logits, target_features=features)
    scores = score_all(inputs)
    assert scores["entropy"] == pytest.approx(-np.log(4))
    assert scores["infomax"] == pytest.approx(0)
    assert scores["snd"] == pytest.approx(np.log(19))


def first_source_samples(inputs: ValidatorInputs, count: int) -> ValidatorInputs:
    return replace(
        inputs,
        source_logits=inputs.source_logits[:count],
        source_features=inputs.source_features[:count],
        source_labels=inputs.source_labels[:count],
    )


def test_validators_that_need_more_samples_are_nan_and_the_others_are_finite() -> None:
    few = first_source_samples(random_inputs(), 1)
    few = replace(few, target_logits=few.target_logits[:1], target_features=few.target_features[:1])
    scores = score_all(few)
    assert {name for name, score in scores.items() if np.isnan(score)} == {"dev", "snd"}


@pytest.mark.parametrize(("samples", "finite"), [(3, False), (4, True)])
def test_deep_embedded_validation_needs_four_source_samples(samples: int, finite: bool) -> None:
    score = VALIDATORS["dev"](first_source_samples(random_inputs(), samples))
    assert np.isfinite(score) == finite


def test_every_metric_and_every_validator_can_be_the_metric_of_a_search() -> None:
    names = get_args(SearchOptions.model_fields["metric"].annotation)
    of_target = [f"target_val_{metric}" for metric in METRICS]
    assert names == (*of_target, *VALIDATORS, ENSEMBLE)


def test_snd_is_the_same_in_blocks_of_rows(
    inputs: ValidatorInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = snd(inputs)
    monkeypatch.setattr(module, "_SND_ROWS", 7)
    assert snd(inputs) == pytest.approx(whole, rel=1e-12)


def test_validators_that_would_take_long_read_a_sample(
    inputs: ValidatorInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = {}
    for name in VALIDATORS:

        def validator(outputs: ValidatorInputs, name: str = name) -> float:
            read[name] = len(outputs.source_labels), len(outputs.target_logits)
            return 0.0

        monkeypatch.setitem(VALIDATORS, name, validator)
    for name in SAMPLES:
        monkeypatch.setitem(SAMPLES, name, 40)
    score_all(inputs)
    everything = len(inputs.source_labels), len(inputs.target_logits)
    for name, sizes in read.items():
        assert sizes == ((40, 40) if name in SAMPLES else everything)


def test_a_sample_is_the_same_each_time_and_keeps_the_proportions_of_classes() -> None:
    inputs = real_inputs()
    sample = inputs.sample(100)
    assert np.array_equal(sample.target_logits, inputs.sample(100).target_logits)
    counts = np.bincount(sample.source_labels) / 100
    np.testing.assert_allclose(counts, np.bincount(inputs.source_labels) / 300, atol=0.01)
    rows = np.flatnonzero((inputs.source_logits == sample.source_logits[0]).all(axis=1))
    assert inputs.source_labels[rows[0]] == sample.source_labels[0]
