from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.fake_search import make_search

from adaptune.evaluation.test_scores import (
    SelectedBaseline,
    evaluate_once,
    run_once,
    score_on_test,
)
from adaptune.evaluation.test_scores import TestScores as Scores
from adaptune.study.storage import open_study
from adaptune.training.bootstrap import Estimate
from adaptune.training.metrics import Predictions


def scores(adapted: float, source_only: float, target_supervised: float | None = None) -> Scores:
    return Scores(400, adapted, source_only, target_supervised=target_supervised)


def test_a_gap_is_closed_only_if_there_is_one() -> None:
    assert scores(0.9, 0.8).gap_closed is None
    assert scores(0.9, 0.8, target_supervised=0.8).gap_closed is None
    assert scores(0.9, 0.7, target_supervised=0.95).gap_closed == pytest.approx(0.8)
    assert scores(0.7, 0.8, target_supervised=0.9).gap_closed == pytest.approx(-1)


def test_the_interval_is_exact() -> None:
    # All of n correct: the lower end x of Clopper & Pearson solves xⁿ = 0.025.
    low, high = Scores(size=12, adapted=1.0, source_only=0.5).interval
    assert low == pytest.approx(0.025 ** (1 / 12))
    assert high == 1.0


LABELS = np.resize([0, 1, 0, 2], 12)


def constant_predictions(label: int) -> Predictions:
    """Return the predictions of a model that predicts `label` for all images."""
    return Predictions(np.tile(np.eye(3)[label], (12, 1)), LABELS, ("a", "b", "c"))


def score_constant_models(metric: str = "accuracy") -> Scores:
    """Half of the images are of class 0, which `adapted` predicts, a quarter is of class 1."""
    labels = {"adapted": 0, "source_only": 1, "no_gan": 0}
    predictions = {name: constant_predictions(label) for name, label in labels.items()}
    return score_on_test(predictions, metric=metric, seed=0)


def test_all_models_are_scored_on_the_same_images() -> None:
    result = score_constant_models()
    assert (result.size, result.adapted, result.source_only) == (12, 0.5, 0.25)
    assert (result.information_only, result.no_gan, result.target_supervised) == (None, 0.5, None)
    # Six images for one model, three for the other: P(at least 6 or at most 3 of 9) = 260 / 512.
    assert result.p == {"source_only": pytest.approx(260 / 512), "no_gan": 1.0}


def test_all_models_have_metrics_and_the_adapted_one_has_recalls_by_class() -> None:
    result = score_constant_models()
    assert list(result.metrics) == ["adapted", "source_only", "no_gan"]
    assert list(result.metrics["no_gan"]) == ["accuracy", "mean_recall", "macro_f1"]
    accuracy = result.metrics["adapted"]["accuracy"]
    assert (accuracy.value, accuracy.ci95) == (result.adapted, result.accuracy_ci95)
    # A constant classifier has the same recalls on every resample with the same classes.
    recall = result.metrics["adapted"]["mean_recall"]
    assert (recall.value, *recall.ci95) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    recalls = {name: recall.value for name, recall in result.recall.items() if recall is not None}
    assert recalls == {"a": 1.0, "b": 0.0, "c": 0.0}


def test_the_confusion_before_and_after_is_counted() -> None:
    confusion = score_constant_models().confusion
    assert confusion == {
        "source_only": [[0, 6, 0], [0, 3, 0], [0, 3, 0]],
        "adapted": [[6, 0, 0], [3, 0, 0], [3, 0, 0]],
    }


def test_the_confusion_of_many_classes_is_not_kept() -> None:
    names = [str(number) for number in range(41)]
    many = Predictions(np.eye(41), np.arange(41), names)
    assert score_on_test({"adapted": many, "source_only": many}, seed=0).confusion == {}


def test_models_are_compared_by_the_metric_of_the_search() -> None:
    result = score_constant_models("mean_recall")
    assert (result.adapted, result.source_only) == (0.5, 0.25)
    assert result.adapted_value == result.source_only_value == pytest.approx(1 / 3)
    assert result.p == {"source_only": 1.0, "no_gan": 1.0}
    assert result.interval == result.metrics["adapted"]["mean_recall"].ci95
    assert result.value("target_supervised") is None
    assert result.gap_closed is None


def test_the_accuracy_is_compared_if_the_test_does_not_define_the_metric() -> None:
    assert score_constant_models("auroc") == score_constant_models()


def test_the_gap_is_that_of_the_compared_metric() -> None:
    metrics = {}
    for name, value in (("adapted", 0.6), ("source_only", 0.4), ("target_supervised", 0.8)):
        metrics[name] = {"macro_f1": Estimate(value, (0.0, 1.0))}
    result = Scores(400, 0.9, 0.9, metric="macro_f1", metrics=metrics)
    assert result.gap_closed == pytest.approx(0.5)


def test_a_model_is_evaluated_on_the_held_out_test_once_and_the_evaluations_are_counted(
    tmp_path: Path,
) -> None:
    spec = make_search()
    study = open_study(spec, tmp_path / "journal")
    models: list[str] = []

    def score(model: str) -> dict[str, object]:
        models.append(model)
        return {"adapted": 0.9}

    assert run_once(study, "trial 1, epoch 2", lambda: score("first")) == ({"adapted": 0.9}, 1)
    reopened = open_study(spec, tmp_path / "journal")
    assert run_once(reopened, "trial 1, epoch 2", lambda: score("again")) == ({"adapted": 0.9}, 1)
    assert run_once(reopened, "trial 3, epoch 9", lambda: score("second")) == ({"adapted": 0.9}, 2)
    assert models == ["first", "second"]
    first, second = (
        value
        for key, value in reopened.optuna_study.user_attrs.items()
        if key.startswith("test_evaluation:")
    )
    assert first["time"] <= second["time"]
    assert (first["model"], second["model"]) == ("trial 1, epoch 2", "trial 3, epoch 9")


def test_an_interrupted_evaluation_counts(tmp_path: Path) -> None:
    study = open_study(make_search(), tmp_path / "journal")

    def interrupt() -> dict[str, object]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_once(study, "trial 1, epoch 2", interrupt)
    other = run_once(study, "trial 3, epoch 9", lambda: {"adapted": 0.8})
    assert other == ({"adapted": 0.8}, 2)
    # It is still one model.
    result = run_once(study, "trial 1, epoch 2", lambda: {"adapted": 0.9})
    assert result == ({"adapted": 0.9}, 2)


def test_stored_scores_are_the_scores(tmp_path: Path) -> None:
    study = open_study(make_search(), tmp_path / "journal")
    estimate = Estimate(0.75, (0.5, 0.875))
    first = Scores(
        size=400,
        adapted=0.9,
        source_only=0.8,
        no_gan=0.85,
        p={"no_gan": 0.25},
        metric="mean_recall",
        metrics={"adapted": {"mean_recall": estimate}},
        recall={"cat": estimate, "dog": None},
        selected={"no_gan": SelectedBaseline("task 1, feature 0.3", epoch=3, updates=40)},
        best_baseline="no_gan",
    )
    assert evaluate_once(study, "trial 0, epoch 1", lambda: first) == (first, 1)
    reopened = open_study(make_search(), tmp_path / "journal")
    other = scores(0.1, 0.1)
    assert evaluate_once(reopened, "trial 0, epoch 1", lambda: other) == (first, 1)


def test_scores_of_an_earlier_version_have_no_choices_and_the_best_baseline_of_the_test() -> None:
    stored = {"size": 400, "adapted": 0.9, "source_only": 0.8, "no_gan": 0.85}
    parsed = Scores.from_dict(stored | {"information_only": 0.86})
    assert parsed.selected == {}
    assert parsed.best_without_gan == "information_only"
    assert Scores.from_dict(stored | {"no_gan": None}).best_without_gan is None
