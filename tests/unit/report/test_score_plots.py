from __future__ import annotations

from xml.etree import ElementTree

from support.fake_run import make_summary

from adaptune.report.score_plots import class_rows, confusion_matrices, scores_plot
from adaptune.training.bootstrap import Estimate

SCORES = {
    "target_test_accuracy": 0.9,
    "target_test_ci95": (0.87, 0.93),
    "target_test_size": 400,
    "source_only_test_accuracy": 0.7,
    "no_gan_test_accuracy": 0.8,
}
CONFUSION = {"source_only": [[3, 1], [0, 0]], "adapted": [[4, 0], [0, 0]]}
RECALL = {"<cat>": Estimate(1.0, (0.4, 1.0)), "dog": None}


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter("text") if element.text]


def test_the_models_have_scores_with_intervals() -> None:
    svg = scores_plot(make_summary(**SCORES))
    assert svg is not None
    shown = texts(svg)
    assert [text for text in shown if text.endswith(".0%")] == ["70.0%", "80.0%", "90.0%"]
    assert "accuracy on target_test, 400 images, with 95% intervals" in shown
    assert svg.count("whisker") == 3
    assert svg.count('<g class="best">') == 1


def test_the_scores_are_those_of_the_metric_that_the_verdict_compares() -> None:
    metrics = {}
    for name, value in (("source_only", 0.5), ("adapted", 0.6)):
        metrics[name] = {"mean_recall": Estimate(value, (0.4, 0.7))}
    figures = SCORES | {"test_metrics": metrics, "verdict_metric": "mean_recall"}
    shown = texts(scores_plot(make_summary(**figures)) or "")
    assert [text for text in shown if text.endswith(".0%")] == ["50.0%", "60.0%"]
    assert "mean recall on target_test, 400 images, with 95% intervals" in shown


def test_without_target_labels_there_are_no_scores() -> None:
    assert scores_plot(make_summary()) is None
    assert confusion_matrices(make_summary()) == []


def test_there_is_a_matrix_before_and_after() -> None:
    before, after = confusion_matrices(
        make_summary(target_test_confusion=CONFUSION, target_test_recall=RECALL)
    )
    assert '<th scope="row">&lt;cat&gt;</th>' in before
    cells = (
        '<td class="hit" style="--share:0.75">3</td><td class="miss" style="--share:0.25">1</td>'
    )
    assert cells in before
    assert '<td class="hit" style="--share:1.00">4</td><td class="miss"></td>' in after


def test_classes_are_compared_before_and_after() -> None:
    table = class_rows(make_summary(target_test_confusion=CONFUSION, target_test_recall=RECALL))
    assert table.header == ("class", "before, %", "after, %")
    assert table.rows == [
        ("<cat>", "75.0", "100.0 (40.0 to 100.0)"),
        ("dog", "no image", "no image"),
    ]
    assert class_rows(make_summary(target_test_recall=RECALL)).header == ("class", "after, %")
