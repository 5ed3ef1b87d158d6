"""The HTML report: one self-contained file."""

from __future__ import annotations

import base64
from pathlib import Path

from adaptune.errors import ResultsError
from adaptune.evaluation.summary import Summary, read_summary
from adaptune.evaluation.summary_scores import verdict_metric_name
from adaptune.report import figures, tables
from adaptune.report.template import render
from adaptune.results.folder import ResultsFolder, write_atomically
from adaptune.spec import dump_spec
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import stored_group_size, with_stored_group_size
from adaptune.study.study import SearchStudy
from adaptune.training.metrics import METRICS, judging_metric


def write_report(folder: ResultsFolder, spec: SearchSpec, study: SearchStudy) -> Path:
    """Write the report of a finished search from its summary and its study.

    Raises:
        ResultsError: the summary cannot be read, or the report cannot be written.
    """
    summary = read_summary(folder.summary)
    page = render("page.html.jinja", _contents(folder, spec, study, summary))
    try:
        write_atomically(folder.report, page)
    except OSError as error:
        raise ResultsError(f"cannot write {folder.report}: {error.strerror}") from error
    return folder.report


def _contents(
    folder: ResultsFolder, spec: SearchSpec, study: SearchStudy, summary: Summary
) -> dict[str, object]:
    best = summary.best_trial
    replications = {}
    for name in ("confirm", "ablation"):
        replications[name] = tables.replication_table(folder, name)
    return {
        "spec": spec,
        "summary": summary,
        "metric": METRICS[judging_metric(study.metric)],
        "accuracies": figures.accuracies_figure(summary),
        "test_metrics": tables.metrics_table(summary),
        "baselines": tables.baselines_table(summary),
        "updates": tables.updates_text(summary),
        "verdict_metric": verdict_metric_name(summary),
        "test_recall": tables.recall_table(summary),
        "curves": figures.curves_figure(study, spec.epochs, best),
        "values": figures.values_figure(study, spec, best),
        "sample_grid": _sample_grid(folder, study, summary),
        "warm_start": study.describe_warm_start(),
        "group_size": stored_group_size(study),
        "trials": tables.trials_table(study, spec.epochs),
        "validators": tables.validators_table(study),
        "costs": tables.costs_table(summary),
        "pareto_front": tables.pareto_table(study),
        "replications": replications,
        "yaml": dump_spec(with_stored_group_size(spec, study)),
    }


def _sample_grid(folder: ResultsFolder, study: SearchStudy, summary: Summary) -> str | None:
    """Return the exported epoch's sample grid as a PNG in base64, or None if there is none."""
    if summary.best_trial is None or summary.best_epoch is None:
        return None
    leader = study.trial(summary.best_trial).leader
    png = folder.checkpoints(leader).sample_grid(summary.best_epoch)
    return None if png is None else base64.b64encode(png).decode()
