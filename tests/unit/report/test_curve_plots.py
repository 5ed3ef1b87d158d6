from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from support.fake_search import make_search

from adaptune.report.curve_plots import learning_curves, search_progress, value_ticks
from adaptune.report.markup import Scale
from adaptune.report.trials import report_trials
from adaptune.study.study import SearchStudy, create_study


def texts(svg: str) -> list[str]:
    """Texts of a plot, in order."""
    return [element.text for element in ElementTree.fromstring(svg).iter("text") if element.text]


def marked(svg: str) -> list[int]:
    """Trials that have a mark in a plot, in order."""
    groups = ElementTree.fromstring(svg).iter("g")
    return [int(group.get("data-trial", "")) for group in groups if group.get("data-trial")]


def test_each_trial_is_a_line_to_its_last_epoch(study: SearchStudy) -> None:
    trials = report_trials(study, best=4)
    svg = learning_curves(trials, 9, [1, 3], study.metric)
    assert svg is not None
    assert sorted(marked(svg)) == list(range(12))
    assert marked(svg)[-1] == 4
    lines = [path.get("d") or "" for path in ElementTree.fromstring(svg).iter("path")]
    points = [line.count(",") for line in lines if "," in line]
    assert points == [len(trial.curve) for trial in trials for _ in ("hit", "line")]
    assert texts(svg).count("rung") == 2


def test_the_search_is_compared_with_the_best_start_point() -> None:
    from support.fake_search import simulate, smooth

    start = {"loss_weights.cycle": 0.2, "loss_weights.identity": 4.0}
    study = simulate(make_search(search={"start_points": [start]}), None, smooth)
    svg = search_progress(report_trials(study, best=3), study.metric)
    assert svg is not None
    assert marked(svg) == list(range(12))
    [value] = [trial.best_value for trial in study.started_trials() if trial.is_start_point]
    assert f"best start point {value:.1%}" in texts(svg)


def test_without_an_epoch_there_is_nothing_to_plot(tmp_path: Path) -> None:
    study = create_study(make_search())
    study.ask()
    trials = report_trials(study, None)
    assert learning_curves(trials, 9, [], study.metric) is None
    assert search_progress(trials, study.metric) is None


def test_objectives_are_labelled_as_they_are_read() -> None:
    assert list(value_ticks(Scale(0.5, 0.9, 0, 1), "target_val_accuracy").values())[:2] == [
        "50%",
        "60%",
    ]
    assert list(value_ticks(Scale(0.74, 0.81, 0, 1), "target_val_accuracy", 3).values()) == [
        "75.0%",
        "77.5%",
        "80.0%",
    ]
    assert "90.5%" in value_ticks(Scale(0.9, 0.92, 0, 1), "target_val_accuracy").values()
    assert "-0.6" in value_ticks(Scale(-1, 0, 0, 1), "v_measure").values()
