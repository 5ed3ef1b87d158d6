from __future__ import annotations

import re
from xml.etree import ElementTree

from support.fake_run import make_summary
from support.fake_search import make_record, make_search

from adaptune.report.figures import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    COMPLETE_COLOUR,
    STOPPED_COLOUR,
    accuracies_figure,
    curves_figure,
    values_figure,
)
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.bootstrap import Estimate

NETWORKS = {"search": "choice", "values": ["unshuffle", "resnet"]}


def texts(svg: str) -> list[str]:
    """Texts of a plot, in order."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.text]


def make_study(spec: SearchSpec, *curves: list[float]) -> SearchStudy:
    study = create_study(spec)
    for curve in curves:
        trial = study.ask()
        for epoch, accuracy in enumerate(curve, start=1):
            study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
        study.tell_result(trial, epochs=spec.epochs, error=None, wall_s=1.0)
    return study


def test_the_models_are_bars_of_which_one_is_the_searchs() -> None:
    summary = make_summary(
        target_test_accuracy=0.9,
        target_test_ci95=(0.87, 0.93),
        target_test_size=400,
        source_only_test_accuracy=0.7,
        no_gan_test_accuracy=0.8,
    )
    svg = accuracies_figure(summary)
    assert svg is not None
    assert svg.count(f"fill: {BEST_COLOUR}") == 1
    assert svg.count(f"fill: {BASELINE_COLOUR}") == 2
    labels = texts(svg)
    assert "accuracy on target_test, 400 samples" in labels
    assert [label for label in labels if label.endswith("%")] == [" 70.0%", " 80.0%", " 90.0%"]


def test_the_bars_are_those_of_the_metric_that_the_verdict_compares() -> None:
    metrics = {}
    for name, value in (("source_only", 0.5), ("adapted", 0.6)):
        metrics[name] = {"mean_recall": Estimate(value, (0.4, 0.7))}
    summary = make_summary(
        target_test_accuracy=0.9,
        target_test_ci95=(0.87, 0.93),
        target_test_size=400,
        source_only_test_accuracy=0.95,
        test_metrics=metrics,
        verdict_metric="mean_recall",
    )
    labels = texts(accuracies_figure(summary) or "")
    assert "mean recall on target_test, 400 samples" in labels
    assert [label for label in labels if label.endswith("%")] == [" 50.0%", " 60.0%"]


def test_there_are_no_bars_without_target_labels() -> None:
    assert accuracies_figure(make_summary()) is None


def test_each_trial_is_a_line_in_the_colour_of_its_state() -> None:
    spec = make_search(training={"epochs": 2})
    study = make_study(spec, [0.5, 0.6], [0.4], [0.5, 0.9])
    svg = curves_figure(study, spec.epochs, best=2)
    lines = {}
    for colour in (BEST_COLOUR, COMPLETE_COLOUR, STOPPED_COLOUR):
        lines[colour] = len(re.findall(rf'<path d="[^"]*"[^>]*stroke: {colour}', svg))
    assert lines == {BEST_COLOUR: 1, COMPLETE_COLOUR: 1, STOPPED_COLOUR: 1}
    assert "target_val_accuracy" in texts(svg)


def test_each_searched_value_has_a_plot_with_its_scale() -> None:
    spec = make_search()
    svg = values_figure(make_study(spec, [0.5], [0.6]), spec, best=None)
    assert svg is not None
    labels = texts(svg)
    assert {"cycle", "identity", "best target_val_accuracy"} <= set(labels)
    root = ElementTree.fromstring(svg)
    ids = [element.get("id") or "" for element in root.iter()]
    plots = [name for name in ids if re.fullmatch(r"axes_\d+", name)]
    assert len(plots) == 2  # the third one of the row is hidden


def test_categories_have_a_plot_too() -> None:
    spec = make_search(space={"model.generator.name": NETWORKS})
    study = make_study(spec, [0.5], [0.6], [0.7])
    svg = values_figure(study, spec, best=0)
    assert svg is not None
    names = {str(trial.values["model.generator.name"]) for trial in study.started_trials()}
    assert names <= set(texts(svg))


def test_there_are_no_values_if_nothing_is_searched() -> None:
    spec = make_search(space={})
    assert values_figure(make_study(spec, [0.5]), spec, best=0) is None


def test_a_plot_can_be_embedded_and_is_reproducible() -> None:
    spec = make_search()
    study = make_study(spec, [0.5])
    svg = curves_figure(study, spec.epochs, best=None)
    assert svg.startswith("<svg")
    assert svg == curves_figure(study, spec.epochs, best=None)
    assert "<dc:date>" not in svg
