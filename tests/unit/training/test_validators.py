"""Each validator against another computation of it, on random logits and on a real classifier's."""

from __future__ import annotations

from typing import Any, ClassVar, cast, get_args

import numpy as np
import pytest
import torch
from adaptune.training.guide import ENSEMBLE, TARGET_VAL
from scipy.stats import entropy as entropy_of
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, adjusted_mutual_info_score, v_measure_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from support.tiny_trial import CLASSES, CPU, make_data, make_source_weights, make_spec

from adaptune.errors import NonFiniteLossError
from adaptune.models.classifiers import Classifier
from adaptune.spec.search import SearchOptions
from adaptune.training.state import build_state
from adaptune.training.validation import Validation
from adaptune.training.validators import VALIDATORS, ValidatorInputs, score_all


def random_dump() -> ValidatorInputs:
    draw = np.random.default_rng(3)
    return ValidatorInputs(
        source_logits=draw.normal(size=(90, 4)) * 2,
        source_features=draw.normal(size=(90, 7)),
        source_labels=draw.integers(0, 4, 90),
        target_logits=draw.normal(size=(70, 4)) * 2,
        target_features=draw.normal(size=(70, 7)) + 0.3,
    )


def real_dump() -> ValidatorInputs:
    """A classifier of digits on clear ones (source) and on dimmed, noisy ones (target)."""
    digits = load_digits()
    images, labels = digits.data / 16, digits.target
    draw = np.random.default_rng(0)
    target = images[1200:1500] * 0.7 + draw.normal(size=(300, 64)) * 0.15
    model = LogisticRegression(C=0.1, max_iter=500).fit(images[:900], labels[:900])
    return ValidatorInputs(
        source_logits=model.decision_function(images[900:1200]),
        source_features=images[900:1200],
        source_labels=labels[900:1200].astype(np.int64),
        target_logits=model.decision_function(target),
        target_features=target,
    )


@pytest.fixture(params=[random_dump, real_dump], ids=["random", "real"])
def dump(request: pytest.FixtureRequest) -> ValidatorInputs:
    made: ValidatorInputs = request.param()
    return made


def probabilities(logits: Any) -> Any:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_accuracy_and_entropies(dump: ValidatorInputs) -> None:
    found, p = score_all(dump), probabilities(dump.target_logits)
    assert found["source_val"] == pytest.approx(
        accuracy_score(dump.source_labels, dump.source_logits.argmax(1))
    )
    assert found["entropy"] == pytest.approx(-np.mean([entropy_of(row) for row in p]), abs=1e-6)
    # As the mutual information of sample and class, with every sample as likely.
    assert found["infomax"] == pytest.approx(mutual_information(p), abs=1e-6)
    assert found["bnm"] == pytest.approx(
        np.sqrt(np.linalg.eigvalsh(p.T @ p).clip(0)).sum() / len(p), abs=1e-6
    )


def mutual_information(p: Any) -> float:
    joint = p / len(p)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return float((joint * np.log(joint / independent)).sum())


def test_agreement_with_clusters(dump: ValidatorInputs) -> None:
    classes = dump.target_logits.shape[1]
    clusters = KMeans(classes, n_init=3, random_state=0).fit(dump.target_features).labels_
    predicted, found = dump.target_logits.argmax(axis=1), score_all(dump)
    assert found["v_measure"] == pytest.approx(v_measure_score(predicted, clusters), abs=1e-6)
    assert found["ami"] == pytest.approx(adjusted_mutual_info_score(predicted, clusters), abs=1e-6)


def test_soft_neighbourhood_density_one_sample_at_a_time(dump: ValidatorInputs) -> None:
    p = probabilities(dump.target_logits)
    unit = p / np.sqrt((p**2).sum(axis=1, keepdims=True))
    entropies = []
    for index, own in enumerate(unit):
        others = np.delete(unit, index, axis=0) @ own / 0.05
        entropies.append(entropy_of(np.exp(others - others.max())))
    assert score_all(dump)["snd"] == pytest.approx(np.mean(entropies), abs=1e-6)


class Fixed(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Says the logits it was made with, which stand in the last columns of what it is asked."""

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
    """X, y and sample_domain as skada wants them: the target's labels are masked."""
    x = np.concatenate([source, target])
    y = np.concatenate([labels, np.full(len(target), -1)])
    return x, y, np.concatenate([np.full(len(source), 1), np.full(len(target), -2)])


def test_entropy_as_skada_has_it(dump: ValidatorInputs) -> None:
    metrics = pytest.importorskip("skada.metrics")
    classes = dump.target_logits.shape[1]
    x, y, domains = both_domains(dump.source_logits, dump.target_logits, dump.source_labels)
    scorer = metrics.PredictionEntropyScorer(reduction="sum")
    found = scorer(Fixed(classes).fit(x, y), x, y, sample_domain=domains) / len(dump.target_logits)
    assert VALIDATORS["entropy"](dump) == pytest.approx(
        found, abs=1e-5
    )  # skada adds 1e-7 within its logarithm


def test_importance_weighting_as_skada_has_it(dump: ValidatorInputs) -> None:
    metrics = pytest.importorskip("skada.metrics")
    scaler = StandardScaler().fit(np.concatenate([dump.source_logits, dump.target_logits]))
    scaled = scaler.transform(dump.source_logits), scaler.transform(dump.target_logits)
    x, y, domains = both_domains(*scaled, dump.source_labels)

    class Unscaled(Fixed):
        def predict_proba(self, x: Any, **_: Any) -> Any:
            return probabilities(scaler.inverse_transform(x))

    estimator = Unscaled(dump.target_logits.shape[1]).fit(x, y)
    found = metrics.ImportanceWeightedScorer()(estimator, x, y, sample_domain=domains)
    assert VALIDATORS["importance_weighted"](dump) == pytest.approx(found, abs=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_deep_embedded_validation_as_skada_has_it(dump: ValidatorInputs) -> None:
    metrics = pytest.importorskip("skada.metrics")
    classes, width = dump.target_logits.shape[1], dump.source_features.shape[1]
    source = np.concatenate([dump.source_features, dump.source_logits], axis=1)
    target = np.concatenate([dump.target_features, dump.target_logits], axis=1)
    x, y, domains = both_domains(source, target, dump.source_labels)

    class OfFeatures(LogisticRegression):  # type: ignore[misc]
        """The domain classifier sees features only, not the logits beside them."""

        def fit(self, x: Any, y: Any) -> Any:
            return super().fit(x[:, :width], y)

        def predict_proba(self, x: Any) -> Any:
            return super().predict_proba(x[:, :width])

    pipeline = make_pipeline(FunctionTransformer(), Fixed(classes).fit(x, y))

    def risk(labels: Any, p: Any) -> Any:
        """A column: skada's own row would be multiplied with its column of weights to a square."""
        return -np.log(p[np.arange(len(labels)), labels])[:, None]

    scorer = metrics.DeepEmbeddedValidation(OfFeatures(), loss_func=risk, random_state=0)
    found = scorer(pipeline, x, y, sample_domain=domains)
    assert VALIDATORS["dev"](dump) == pytest.approx(found, abs=1e-6)


def test_a_collapsed_classifier_has_finite_scores() -> None:
    dump = random_dump()
    same = np.tile([9.0, 0, 0, 0], (70, 1))
    points = np.ones((70, 7))
    found = score_all(
        ValidatorInputs(dump.source_logits, dump.source_features, dump.source_labels, same, points)
    )
    assert all(np.isfinite(list(found.values())))
    assert found["infomax"] == pytest.approx(0, abs=1e-9)


def test_what_too_few_samples_cannot_tell_is_not_a_number_and_the_rest_is_told() -> None:
    few = random_dump()
    found = score_all(
        ValidatorInputs(
            few.source_logits[:1],
            few.source_features[:1],
            few.source_labels[:1],
            few.target_logits[:1],
            few.target_features[:1],
        )
    )
    assert {name for name, score in found.items() if np.isnan(score)} == {"dev", "snd"}
    four = ValidatorInputs(
        few.source_logits[:4],
        few.source_features[:4],
        few.source_labels[:4],
        few.target_logits,
        few.target_features,
    )
    assert np.isfinite(VALIDATORS["dev"](four))


def test_a_classifier_that_became_nan_fails_with_step_and_term() -> None:
    spec = make_spec()
    state = build_state(spec, CLASSES, make_source_weights(spec), CPU)
    classifier = cast(Classifier, state.networks.f_target)
    with torch.no_grad():
        next(classifier.parameters()).fill_(torch.nan)
    with pytest.raises(NonFiniteLossError, match=r"not finite after step 7: term `task`"):
        Validation(make_data(), CPU).record(classifier, 7)


def test_every_validator_can_guide_a_search() -> None:
    names = get_args(SearchOptions.model_fields["metric"].annotation)
    assert names == (TARGET_VAL, *VALIDATORS, ENSEMBLE)
