"""Reading of a results folder, for `status` and `report`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adaptune.evaluation.summary import Summary, read_summary
from adaptune.report import tables
from adaptune.report.table import Table
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import open_existing
from adaptune.spec.schema import SearchSpec
from adaptune.study.group_size import GroupSize, stored_group_size
from adaptune.study.objective import format_objective
from adaptune.study.storage import read_study
from adaptune.study.study import SearchStudy
from adaptune.study.warm_start import describe_warm_start

_SHORT_STATES = {"stopped early": "stopped", tables.STATES["RUNNING"]: "running"}


@dataclass(frozen=True)
class SearchStatus:
    """State of a search.

    Attributes:
        headline: counts of trials by state, in one line.
        best: best trial so far, in one line; None without an epoch.
        trials: one row per trial.
    """

    headline: str
    best: str | None
    trials: Table


@dataclass(frozen=True)
class ReportContents:
    """Contents of the report of a search that a terminal can show.

    Attributes:
        folder: results folder.
        spec: spec of the search.
        study: study of the search.
        state: counts of trials by state, in one line.
        summary: figures of the search; None if it has not finished.
        warm_start: which earlier trials the sampler learned from, in one line, if any.
        group_size: number of trials that share a GAN, if the search chose it.
        test_metrics: metrics of each model on the held-out test.
        test_recall: accuracy per class of the exported model.
        costs: device seconds by purpose.
        pareto_front: trials that no other beats in both objectives, if there are two.
        validators: what a search by each validator would have lost.
        replications: what `confirm` and `ablate` found, by name.
    """

    folder: ResultsFolder
    spec: SearchSpec
    study: SearchStudy
    state: str
    summary: Summary | None
    warm_start: str | None
    group_size: GroupSize | None
    test_metrics: Table
    test_recall: Table
    costs: Table
    pareto_front: Table
    validators: Table
    replications: dict[str, tables.ReplicationTable]

    def write_page(self) -> Path:
        """Write the HTML report, and return its path.

        Raises:
            ResultsError: it cannot be written.
        """
        from adaptune.report.page import write_report  # imported late: plots take a second

        return write_report(self.folder, self.spec, self.study)


def search_status(path: Path) -> SearchStatus:
    """Return the state of a search that is running, was interrupted, or has finished.

    Raises:
        ResultsError: the folder holds no search, or its trials have not begun.
    """
    folder, spec = open_existing(path)
    study = read_study(spec, folder.journal)
    best = None
    for trial in study.ranked_trials(include_running=True):
        epoch = trial.best_epoch
        if epoch is not None:
            objective = format_objective(study.metric, epoch.objective)
            best = f"best so far: trial {trial.number}, epoch {epoch.number}, {objective}"
            break
    return SearchStatus(_headline(spec, study), best, _status_table(study, spec.epochs))


def _status_table(study: SearchStudy, epochs: int) -> Table:
    """Return the trials with columns so narrow that values have room in 80 columns."""
    table = tables.trials_table(study, epochs)
    rows = []
    for number, state, epoch, best, value, values in table.rows:
        rows.append((number, _SHORT_STATES.get(state, state), epoch, best, value, values))
    number, state, epoch, _, metric, values = table.header
    return Table((number, state, epoch, "best", metric.removeprefix("target_"), values), rows)


def search_report(path: Path) -> ReportContents:
    """Return the contents of the report of a search.

    The search may be running, interrupted or finished.

    Raises:
        ResultsError: the folder holds no search, its trials have not begun, or its summary cannot
            be read.
    """
    folder, spec = open_existing(path)
    summary = read_summary(folder.summary) if folder.summary.exists() else None
    study = read_study(spec, folder.journal)
    replications = {}
    for name in ("confirm", "ablation"):
        replications[name] = tables.replication_table(folder, name)
    return ReportContents(
        folder=folder,
        spec=spec,
        study=study,
        state=_headline(spec, study),
        summary=summary,
        warm_start=describe_warm_start(study),
        group_size=stored_group_size(study),
        test_metrics=_table_of(summary, tables.metrics_table),
        test_recall=_table_of(summary, tables.recall_table),
        costs=_table_of(summary, tables.costs_table),
        pareto_front=tables.pareto_table(study),
        validators=tables.validators_table(study),
        replications=replications,
    )


def _table_of(summary: Summary | None, table: Callable[[Summary], Table]) -> Table:
    return Table((), []) if summary is None else table(summary)


def _headline(spec: SearchSpec, study: SearchStudy) -> str:
    counts = Counter(tables.STATES[trial.state.name] for trial in study.started_trials())
    in_all = study.steering.trials(spec.planned_trials)
    headline = f"{spec.name}: {counts.total()} of {in_all} trials"
    if counts:
        headline += ": " + ", ".join(f"{count} {state}" for state, count in counts.items())
    return headline
