"""The tables trials.parquet and epochs.parquet, written from the study."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from adaptune.results.folder import ResultsFolder, write_table
from adaptune.search.callbacks.base import SearchCallback, logged_disk_errors
from adaptune.search.protocol import OBJECTIVE, TrialConfig, TrialResult
from adaptune.spec.resources import Execution
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial

TABLES_INTERVAL_S = 10.0  # each time they are written as a whole
Row = Mapping[str, object]


class TablesCallback(SearchCallback):
    """Writes the tables when a trial ends, at most every ten seconds.

    Args:
        study: study of the search.
        folder: results folder.
        execution: kind of trial runner.
        workers: number of workers per trial.
        after_write: called after the tables were written.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        study: SearchStudy,
        folder: ResultsFolder,
        execution: Execution,
        workers: int,
        after_write: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._study = study
        self._folder = folder
        self._execution = execution
        self._workers = workers
        self._after_write = after_write
        self._clock = clock
        self._due = 0.0

    def on_trial_end(self, config: TrialConfig, result: TrialResult) -> None:
        """Write the tables if they are due."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + TABLES_INTERVAL_S
        with logged_disk_errors("tables", config.number):
            write_tables(self._study, self._folder, self._execution, self._workers)
            self._after_write()


def write_tables(
    study: SearchStudy, folder: ResultsFolder, execution: Execution, workers: int
) -> None:
    """Write both tables; an empty table is not written.

    Args:
        execution: kind of trial runner.
        workers: number of workers per trial.
    """
    trial_rows: list[Row] = []
    epoch_rows: list[Row] = []
    for trial in study.started_trials():
        checkpoints = folder.checkpoints(trial.number).path
        placement = {"execution": execution, "workers": workers}
        trial_rows.append(_trial_row(trial, placement, workers) | {"checkpoint": checkpoints})
        for epoch in trial.epochs:
            row = {"trial": trial.number} | epoch.record.flat()
            epoch_rows.append(row | {OBJECTIVE: epoch.objective})
    _write(folder.trials_table, trial_rows)
    _write(folder.epochs_table, epoch_rows)


def _trial_row(trial: StudyTrial, placement: Row, workers: int) -> dict[str, object]:
    row: dict[str, object] = {
        "number": trial.number,
        "state": trial.state.name,
        **placement,
        "params": json.dumps(trial.values, sort_keys=True),
        **trial.values,
        "epochs": trial.last_epoch,
        "best_epoch": None,
        OBJECTIVE: None,
        "target_val_accuracy": None,
        "target_val_loss": None,
    }
    best = trial.best_epoch
    if best is not None:
        row |= {
            "best_epoch": best.number,
            OBJECTIVE: best.objective,
            "target_val_accuracy": best.record.target_val_accuracy,
            "target_val_loss": best.record.target_val_loss,
        }
    overhead_s = None
    if trial.wall_s is not None:
        overhead_s = trial.wall_s - trial.active_s
    return row | {
        "wall_s": trial.wall_s,
        "device_s": trial.active_s * workers,
        "overhead_s": overhead_s,
        "unhealthy": trial.unhealthy,
        "error": trial.error,
    }


def _write(path: Path, rows: Sequence[Row]) -> None:
    if not rows:
        return
    columns: dict[str, list[object]] = {}
    for row in rows:
        columns |= {name: [] for name in row if name not in columns}
    for row in rows:
        for name, cells in columns.items():
            cells.append(row.get(name))
    write_table(path, pa.table(columns))
