from __future__ import annotations

import re

from support.fake_search import make_search, simulate, smooth

from adaptune.evaluation.importance import CommonEpoch, Importance, common_epoch
from adaptune.report.trials import report_trials, searched_names
from adaptune.report.value_plots import importance_plot, parallel_coordinates, response_plots
from adaptune.study.study import SearchStudy

SPEC = make_search()
NAMES = searched_names(SPEC)


def test_each_value_has_a_plot_of_all_trials_at_the_common_epoch(study: SearchStudy) -> None:
    trials = report_trials(study, best=0)
    common = common_epoch([trial.trial for trial in trials])
    assert common is not None
    plots = response_plots(trials, SPEC.space, NAMES, common, seed=0)
    assert len(plots) == 2
    for plot, name in zip(plots, ("cycle", "identity"), strict=True):
        assert plot.count("data-trial") == 12
        assert f"Objective in epoch {common.epoch} by {name}" in plot
        assert 'class="band"' in plot
    value = study.trial(0).curve[common.epoch]
    assert f"{value:.1%} in epoch {common.epoch}" in plots[0]


def test_few_trials_have_no_band(study: SearchStudy) -> None:
    trials = report_trials(study, best=0)
    common = CommonEpoch(1, {number: 0.5 + number / 100 for number in range(3)})
    plots = response_plots(trials, SPEC.space, NAMES, common, seed=0)
    assert [plot.count("data-trial") for plot in plots] == [3, 3]
    assert "band" not in "".join(plots)


def test_importances_have_bars_and_intervals() -> None:
    shares = {"loss_weights.cycle": Importance(0.75, 0.5, 0.9)}
    svg = importance_plot(shares, NAMES)
    assert svg is not None
    assert 'aria-label="Importance: cycle 75%"' in svg
    assert re.search(r'<rect x="130" y="8" width="420"', svg)
    assert 'd="M410.0 18.0H634.0' in svg
    assert importance_plot({}, NAMES) is None


def test_parallel_coordinates_have_a_line_per_trial(study: SearchStudy) -> None:
    trials = report_trials(study, best=0)
    svg = parallel_coordinates(trials, SPEC.space, NAMES, study.metric)
    assert svg is not None
    assert svg.count("data-trial") == 12
    points = [line.count(",") for line in re.findall(r'<path d="(M[^"]*,[^"]*)"', svg)]
    assert set(points) == {3}  # cycle, identity and the objective
    assert parallel_coordinates(trials, {}, {}, study.metric) is None
    assert parallel_coordinates([], SPEC.space, NAMES, study.metric) is None


def test_categories_have_a_plot_too() -> None:
    choice = {"search": "choice", "values": ["unshuffle", "resnet"]}
    space = {"loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 30}}
    spec = make_search(space | {"model.generator.name": choice})
    study = simulate(
        spec, None, lambda values, epoch: smooth({**values, "loss_weights.identity": 1}, epoch)
    )
    trials = report_trials(study, best=0)
    common = common_epoch([trial.trial for trial in trials])
    assert common is not None
    plots = response_plots(trials, spec.space, searched_names(spec), common, seed=0)
    assert ">unshuffle</text>" in plots[1]
    assert "band" not in plots[1]
