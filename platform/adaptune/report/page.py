"""The HTML report: one self-contained file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from adaptune.errors import ResultsError
from adaptune.evaluation.importance import RESAMPLES, common_epoch, importances
from adaptune.evaluation.stopping_agreement import rung_agreements
from adaptune.evaluation.summary import Summary, read_summary
from adaptune.evaluation.summary_scores import verdict_metric_name
from adaptune.report import curve_plots, score_plots, tables, time_plots, value_plots
from adaptune.report.changed_pictures import changed_pictures
from adaptune.report.data_counts import part_table
from adaptune.report.next_steps import next_steps
from adaptune.report.sample_pictures import sample_pictures
from adaptune.report.stored_inspection import read_inspection
from adaptune.report.template import render
from adaptune.report.trials import (
    FATES,
    ReportTrial,
    best_number,
    fate_symbol,
    report_trials,
    searched_names,
)
from adaptune.results.folder import ResultsFolder, write_atomically
from adaptune.spec import dump_spec
from adaptune.spec.rungs import rungs
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import stored_group_size, with_stored_group_size
from adaptune.study.objective import format_value, metric_label
from adaptune.study.study import SearchStudy
from adaptune.study.warm_start import describe_warm_start
from adaptune.training.metrics import METRICS, judging_metric
from adaptune.version import __version__

Contents = dict[str, object]


def write_report(folder: ResultsFolder, spec: SearchSpec, study: SearchStudy) -> Path:
    """Write the report of a search from its study and, once it has finished, its summary.

    Raises:
        ResultsError: the summary cannot be read, or the report cannot be written.
    """
    summary = read_summary(folder.summary) if folder.summary.exists() else None
    page = render("page.html.jinja", _contents(folder, spec, study, summary))
    try:
        write_atomically(folder.report, page)
    except OSError as error:
        raise ResultsError(f"cannot write {folder.report}: {error.strerror}") from error
    return folder.report


def _contents(
    folder: ResultsFolder, spec: SearchSpec, study: SearchStudy, summary: Summary | None
) -> Contents:
    best = best_number(study, None if summary is None else summary.best_trial)
    trials = report_trials(study, best)
    agreements = rung_agreements(
        [trial.trial for trial in trials], rungs(spec.search.scheduler, spec.epochs)
    )
    pictures = sample_pictures(folder, study, best)
    return {
        "spec": spec,
        "folder": folder.path,
        "summary": summary,
        "best": next((trial for trial in trials if trial.number == best), None),
        "steps": next_steps(folder, spec, trials, summary, agreements),
        "fates": FATES,
        "counts": Counter(tables.STATES[trial.trial.state.name] for trial in trials),
        "ended": sum(trial.trial.state.is_finished() for trial in trials),
        "warm_start": describe_warm_start(study),
        "group_size": stored_group_size(study),
        "pareto_front": tables.pareto_table(study),
        "replications": {
            name: tables.replication_table(folder, name) for name in ("confirm", "ablation")
        },
        "validators": tables.validators_table(study),
        "judge": METRICS[judging_metric(study.metric)],
        "agreements": agreements,
        "pictures": pictures,
        "picture_data": _script_data(pictures.uris),
        "trial_data": _script_data({trial.number: trial.details() for trial in trials}),
        "data": part_table(folder),
        "inspection": read_inspection(folder),
        "yaml": dump_spec(with_stored_group_size(spec, study)),
        "css": _asset("report.css"),
        "js": _asset("report.js"),
        "version": __version__ if summary is None else summary.version,
        "format_value": format_value,
        **_test_contents(folder, summary),
        **_trial_contents(spec, trials, study.metric),
    }


def _test_contents(folder: ResultsFolder, summary: Summary | None) -> Contents:
    if summary is None:
        return dict.fromkeys(("scores", "test_metrics", "baselines", "updates", "confusions")) | {
            "changed": [],
            "classes": {},
            "verdict_metric": None,
            "costs": None,
            "cost_plot": None,
        }
    costs = {
        "complete": summary.device_s_useful,
        "stopped": summary.device_s_pruned,
        "failed": summary.device_s_failed,
        "overhead": summary.device_s_overhead,
    }
    return {
        "scores": score_plots.scores_plot(summary),
        "test_metrics": tables.metrics_table(summary),
        "baselines": tables.baselines_table(summary),
        "updates": tables.updates_text(summary),
        "verdict_metric": verdict_metric_name(summary),
        "confusions": score_plots.confusion_matrices(summary),
        "classes": score_plots.class_rows(summary),
        "changed": changed_pictures(folder, summary),
        "costs": tables.costs_table(summary),
        "cost_plot": time_plots.device_seconds(costs),
    }


def _trial_contents(spec: SearchSpec, trials: list[ReportTrial], metric: str) -> Contents:
    names = searched_names(spec)
    rung_epochs = rungs(spec.search.scheduler, spec.epochs)
    common = common_epoch([trial.trial for trial in trials])
    shares = {}
    responses = []
    if common is not None and spec.space:
        shares = importances([trial.trial for trial in trials], common, spec.seed)
        responses = value_plots.response_plots(trials, spec.space, names, common, spec.seed)
    return {
        "trials": sorted(trials, key=lambda trial: trial.number),
        "names": names,
        "metric": metric_label(metric),
        "rung_epochs": rung_epochs,
        "curves": curve_plots.learning_curves(trials, spec.epochs, rung_epochs, metric),
        "progress": curve_plots.search_progress(trials, metric),
        "common": common,
        "resamples": RESAMPLES,
        "importance": value_plots.importance_plot(shares, names),
        "responses": responses,
        "parallel": value_plots.parallel_coordinates(trials, spec.space, names, metric),
        "timeline": time_plots.timeline(trials),
        "symbols": _symbols(trials),
    }


def _symbols(trials: list[ReportTrial]) -> Mapping[str, Markup]:
    """Return the symbol of each fate that occurs, for the legend."""
    present = {trial.fate for trial in trials}
    return {fate: fate_symbol(fate) for fate in FATES if fate in present}


def _script_data(values: object) -> Markup:
    """Return JSON that cannot end the script element that it stands in."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _asset(name: str) -> Markup:
    file = resources.files("adaptune.report").joinpath(name)
    return Markup(file.read_text(encoding="utf-8"))
