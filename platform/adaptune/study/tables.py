"""The tables trials.parquet and epochs.parquet, written from the study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from adaptune.results.folder import ResultsFolder, write_table
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial, TrialPlacement

OBJECTIVE = "objective"
_TARGET_COLUMNS = (
    "target_val_accuracy",
    "target_val_loss",
    "target_val_mean_recall",
    "target_val_macro_f1",
    "target_val_auroc",
)
Row = Mapping[str, object]


def write_tables(study: SearchStudy, folder: ResultsFolder, placement: TrialPlacement) -> None:
    """Write both tables; an empty table is not written.

    Args:
        placement: runner and workers of the trials that run now, and of those that do not record
            their own.
    """
    trial_rows: list[Row] = []
    epoch_rows: list[Row] = []
    for trial in study.started_trials():
        checkpoints = folder.checkpoints(trial.leader).path
        row = _trial_row(trial, trial.placement or placement)
        trial_rows.append(row | {"checkpoint": checkpoints})
        for epoch in trial.epochs:
            epoch_row = {"trial": trial.number} | epoch.record.flat()
            epoch_rows.append(epoch_row | {OBJECTIVE: epoch.objective})
    _write(folder.trials_table, trial_rows)
    _write(folder.epochs_table, epoch_rows)


def _trial_row(trial: StudyTrial, placement: TrialPlacement) -> dict[str, object]:
    row: dict[str, object] = {
        "number": trial.number,
        "group": trial.leader,
        "state": trial.state.name,
        "execution": placement.execution,
        "workers": placement.workers,
        "params": json.dumps(trial.values, sort_keys=True),
        **trial.values,
        "epochs": trial.last_epoch,
        "best_epoch": None,
        OBJECTIVE: None,
        **dict.fromkeys(_TARGET_COLUMNS),
    }
    best = trial.best_epoch
    if best is not None:
        figures = best.record.flat()
        row |= {
            "best_epoch": best.number,
            OBJECTIVE: best.objective,
            **{name: figures.get(name) for name in _TARGET_COLUMNS},
        }
    overhead_s = None
    if trial.wall_s is not None:
        overhead_s = trial.wall_s - trial.active_s
    return row | {
        "wall_s": trial.wall_s,
        "device_s": trial.active_s * placement.workers,
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
