"""Tables of a search, which terminal and report lay out each in their own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.errors import ResultsError
from adaptune.evaluation.summary import Summary
from adaptune.evaluation.summary_scores import MODELS, model_key
from adaptune.evaluation.validator_regret import validator_regrets
from adaptune.report.table import Table
from adaptune.results.folder import ResultsFolder
from adaptune.study.job import format_values
from adaptune.study.objective import format_objective, format_value, metric_label
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial
from adaptune.text import escape_control
from adaptune.training.bootstrap import Estimate
from adaptune.training.metrics import ACCURACY, METRICS, judging_metric

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "stopped early",
    "FAIL": "failed",
    "RUNNING": "running or interrupted",
}
_COSTS = {
    "device_s_useful": "trials that trained all epochs",
    "device_s_pruned": "trials stopped early",
    "device_s_failed": "failed trials",
    "device_s_overhead": "workers held without training or evaluation",
    "device_s_to_99_percent_of_best": "until 99% of the best objective was reached",
    "device_s_saved_by_stopping_estimated": (
        "saved by stopping early (estimated from each trial's own pace)"
    ),
}


@dataclass(frozen=True)
class ReplicationTable:
    """Mean test scores that `confirm` or `ablate` found, and the conclusion in words."""

    table: Table
    conclusion: Sequence[str]


def trials_table(study: SearchStudy, epochs: int) -> Table:
    """Return one row per trial: its progress, its best epoch, and its values or its error.

    Args:
        epochs: number of epochs of a trial that is not stopped.
    """
    metric = study.metric
    header = ("trial", "state", "epoch", "best epoch", metric_label(metric), "values")
    rows = [_trial_row(trial, metric, epochs) for trial in study.started_trials()]
    return Table(header, rows)


def costs_table(summary: Summary) -> Table:
    """Return the device seconds of a search by purpose."""
    rows = []
    for key, description in _COSTS.items():
        seconds = getattr(summary, key)
        if seconds is not None:
            rows.append((description, f"{seconds:.0f}"))
    return Table(("device seconds", ""), rows)


def validators_table(study: SearchStudy) -> Table:
    """Return one row per validator: what a search by it would have lost."""
    rows = []
    for regret in validator_regrets(study):
        correlation = "–"
        if regret.correlation is not None:
            correlation = f"{regret.correlation:.2f}"
        choice = f"trial {regret.chosen_trial}, epoch {regret.chosen_epoch}"
        rows.append((regret.validator, correlation, choice, f"{100 * regret.regret:.1f}"))
    metric = METRICS[judging_metric(study.metric)]
    header = (
        "validator as the objective",
        "rank correlation",
        "would choose",
        f"regret, points of {metric}",
    )
    return Table(header, rows)


def metrics_table(summary: Summary) -> Table:
    """Return the metrics of each model on the held-out test, in percent with 95% intervals."""
    metrics: dict[str, dict[str, Estimate]] = {}
    for name in MODELS:
        estimates = (summary.test_metrics or {}).get(model_key(name))
        if estimates is not None:
            metrics[name] = estimates
    columns = [key for key in METRICS if any(key in values for values in metrics.values())]
    rows = []
    for name, estimates in metrics.items():
        rows.append((name, *(estimates[key].in_percent() for key in columns)))
    return Table(("%, with 95% interval", *(METRICS[key] for key in columns)), rows)


def baselines_table(summary: Summary) -> Table:
    """Return the choices of the baselines, and their accuracy in percent with 95% intervals.

    The best one without a GAN is marked.
    """
    rows = []
    for baseline in summary.baselines or ():
        name = baseline.name
        if name == summary.best_baseline:
            name += " (best)"
        accuracy = Estimate(baseline.test_accuracy, baseline.test_ci95).in_percent()
        choice = (baseline.setting, str(baseline.epoch), f"{baseline.updates:,}")
        rows.append((name, *choice, accuracy))
    return Table(("baseline", "setting", "epoch", "updates", "accuracy, %"), rows)


def updates_text(summary: Summary) -> str | None:
    """Return how many updates the search and the baselines took; None if not known."""
    if summary.search_updates is None or summary.baseline_updates is None:
        return None
    return (
        f"updates: {summary.search_updates:,} by the trials of the search,"
        f" {summary.baseline_updates:,} by the baselines"
    )


def recall_table(summary: Summary) -> Table:
    """Return the accuracy per class of the exported model, in percent with 95% intervals."""
    rows = []
    for name, estimate in (summary.target_test_recall or {}).items():
        text = "no image" if estimate is None else estimate.in_percent()
        rows.append((escape_control(name), text))
    return Table(("class", "accuracy"), rows)


def pareto_table(study: SearchStudy) -> Table:
    """Return the Pareto front of a search with two objectives, the fastest trial first."""
    front = study.pareto_front()
    rows = []
    for trial in sorted(front, key=lambda trial: trial.active_s):
        best_value = trial.best_value
        assert best_value is not None  # the front has complete trials only
        objective = format_objective(study.metric, best_value)
        values = format_values(trial.values)
        rows.append((f"trial {trial.number}", objective, f"{trial.active_s:.0f}", values))
    return Table(("Pareto front", "", "seconds", "values"), rows)


def replication_table(folder: ResultsFolder, name: str) -> ReplicationTable:
    """Return what `confirm` or `ablate` found; an empty table if the command has not run.

    Args:
        name: `confirm` or `ablation`.

    Raises:
        ResultsError: the file of the command cannot be read.
    """
    file = folder.path / name / f"{name}.parquet"
    if not file.exists():
        return ReplicationTable(Table((), []), [])
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise ResultsError(
            f"{file} cannot be read: {error}; run the command again, which writes it again"
        ) from error
    metadata: Mapping[bytes, bytes] = table.schema.metadata or {}
    rows = []
    for row in table.to_pylist():
        score = format_mean(row["mean"], row["standard_error"])
        rows.append((row["configuration"], str(row["seeds"]), score))
    metric = metadata.get(b"metric", ACCURACY.encode()).decode()
    header = ("configuration", "seeds", f"test {METRICS[metric]}")
    conclusion = metadata.get(b"conclusion", b"").decode().splitlines()
    return ReplicationTable(Table(header, rows), conclusion)


def format_mean(mean: float | None, standard_error: float | None) -> str:
    """Return a mean score in percent with its standard error: `97.2 ± 0.3`."""
    if mean is None:
        return "failed"
    if standard_error is None:
        return f"{100 * mean:.1f}"
    return f"{100 * mean:.1f} ± {100 * standard_error:.1f}"


def _trial_row(trial: StudyTrial, metric: str, epochs: int) -> tuple[str, ...]:
    best_epoch = best_value = ""
    if trial.best_epoch is not None:
        best_epoch = str(trial.best_epoch.number)
        best_value = format_value(metric, trial.best_epoch.objective)
    return (
        str(trial.number),
        STATES[trial.state.name],
        f"{trial.last_epoch}/{epochs}",
        best_epoch,
        best_value,
        trial.error or format_values(trial.values),
    )
