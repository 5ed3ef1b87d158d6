"""trials.parquet and epochs.parquet, written from the study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa
from optuna.trial import FrozenTrial, TrialState

from adaptune.cluster.placement import PlacementPlan
from adaptune.results.folder import ResultsFolder, write_table
from adaptune.search import study as studies


def write_tables(study: optuna.Study, plan: PlacementPlan, folder: ResultsFolder) -> None:
    """Write both tables anew. Empty tables are not written."""
    trials, metric = studies.started(study), studies.metric_of(study)
    trials_table, epochs_table = folder.tables
    _write(trials_table, [_trial_row(trial, metric, plan, folder) for trial in trials])
    _write(
        epochs_table,
        [{"trial": trial.number} | record for trial in trials for record in studies.records(trial)],
    )


def device_seconds(study: optuna.Study, workers: int, state: TrialState) -> float:
    """Seconds of training and evaluation, times workers, over the trials of a state; of failed ones, all they took."""
    return (
        sum(_spent_s(trial) for trial in studies.started(study) if trial.state == state) * workers
    )


def _spent_s(trial: FrozenTrial) -> float:
    """The epoch in which a trial failed has no record, but took its time."""
    whole = trial.user_attrs.get("wall_s") if trial.state == TrialState.FAIL else None
    return float(studies.active_s(trial) if whole is None else whole)


def device_s_saved(study: optuna.Study, epochs: int, workers: int) -> float:
    """An estimate of the device seconds that stopped trials would still have taken, at their own pace."""
    saved = 0.0
    for trial in studies.started(study):
        done = len(studies.records(trial))
        if trial.state == TrialState.PRUNED and done:
            saved += studies.active_s(trial) / done * (epochs - done)
    return saved * workers


def device_s_to_reach(study: optuna.Study, part: float, workers: int) -> float | None:
    """Device seconds, trial after trial, until an epoch's guide was `part` of the best there is; None without one."""
    trials = studies.started(study)
    best = max((value for trial in trials for value in studies.curve(trial).values()), default=None)
    spent = 0.0
    for trial in trials:
        for record in studies.records(trial):
            spent += (record["train_s"] + record["eval_s"]) * workers
            if best is not None and record[studies.OBJECTIVE] >= best - (1 - part) * abs(best):
                return float(spent)
    return None


def overhead(study: optuna.Study, workers: int) -> float:
    """Device seconds that trials held their workers for without training or evaluation, as far as known.

    Of failed ones it is not known what they did in their last epoch.
    """
    known = [(trial, trial.user_attrs.get("wall_s")) for trial in studies.started(study)]
    held = sum(max(0.0, wall_s - _spent_s(trial)) for trial, wall_s in known if wall_s is not None)
    return float(held * workers)


def _trial_row(
    trial: FrozenTrial, metric: str, plan: PlacementPlan, folder: ResultsFolder
) -> dict[str, Any]:
    best = studies.best_record(trial, metric) or {}
    wall_s = trial.user_attrs.get("wall_s")
    return {
        "number": trial.number,
        "state": trial.state.name,
        "execution": plan.execution,
        "workers": plan.workers,
        "params": json.dumps(trial.params, sort_keys=True),
        **trial.params,
        "epochs": max(studies.curve(trial), default=0),
        "best_epoch": best.get("epoch"),
        "guide": best.get(studies.OBJECTIVE),
        "target_val_accuracy": best.get("target_val_accuracy"),
        "target_val_loss": best.get("target_val_loss"),
        "wall_s": wall_s,
        "device_s": studies.active_s(trial) * plan.workers,
        "overhead_s": None if wall_s is None else wall_s - studies.active_s(trial),
        "checkpoint": folder.checkpoints(trial.number),
        "sick": trial.user_attrs.get("sick"),
        "error": trial.user_attrs.get("error"),
    }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    columns = dict.fromkeys(key for row in rows for key in row)
    write_table(
        path, pa.Table.from_pylist([{key: row.get(key) for key in columns} for row in rows])
    )
