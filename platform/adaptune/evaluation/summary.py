"""summary.json: the figures of a search, under fixed keys."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from adaptune import __version__
from adaptune.cluster.placement import PlacementPlan
from adaptune.evaluation.test_scores import TestScores
from adaptune.evaluation.verdict import verdict
from adaptune.results.folder import ResultsFolder, write_atomically
from adaptune.search import study as studies
from adaptune.search.callbacks.tables import (
    device_s_saved,
    device_s_to_reach,
    device_seconds,
    overhead,
)
from adaptune.spec.schema import SearchSpec
from adaptune.training.loop import Record

Summary = dict[str, Any]
# What is scored on the sealed test, and where its accuracy stands.
MODELS = {
    "source only": "source_only_test_accuracy",
    "information only": "information_only_test_accuracy",
    "no GAN": "no_gan_test_accuracy",
    "adapted": "target_test_accuracy",
    "target supervised": "target_supervised_test_accuracy",
}


def summarise(
    spec: SearchSpec,
    study: optuna.Study,
    plan: PlacementPlan,
    *,
    best: FrozenTrial | None,
    record: Record | None,
    scores: TestScores | None,
    looks: int = 0,
    wall_s: float,
    source_stage_s: float,
) -> Summary:
    """The figures; null where not known.

    Args:
        best, record: the exported trial and epoch.
    """
    trials = studies.started(study)
    counts = {state: sum(trial.state == state for trial in trials) for state in TrialState}
    return {
        "name": spec.name,
        "method": spec.method,
        "source": spec.data.source.domain,
        "target": spec.data.target.domain,
        "metric": spec.search.metric,
        "execution": plan.execution,
        "workers_per_trial": plan.workers,
        "trials_total": len(trials),
        "trials_complete": counts[TrialState.COMPLETE],
        "trials_pruned": counts[TrialState.PRUNED],
        "trials_failed": counts[TrialState.FAIL],
        "trials_sick": _sick(trials),
        "best_trial": best.number if best else None,
        "best_params": best.params if best else None,
        "best_epoch": record["epoch"] if record else None,
        "target_val_accuracy": record["target_val_accuracy"] if record else None,
        "target_test_accuracy": scores.adapted if scores else None,
        "target_test_ci95": list(scores.interval) if scores else None,
        "target_test_size": scores.size if scores else None,
        "source_only_test_accuracy": scores.source_only if scores else None,
        "information_only_test_accuracy": scores.information_only if scores else None,
        "no_gan_test_accuracy": scores.no_gan if scores else None,
        "target_supervised_test_accuracy": scores.supervised if scores else None,
        "target_test_looks": looks,
        "gap_closed": scores.gap_closed if scores else None,
        "verdict": _verdict(study, best, scores, looks),
        "wall_s": wall_s,
        "device_s_useful": device_seconds(study, plan.workers, TrialState.COMPLETE),
        "device_s_pruned": device_seconds(study, plan.workers, TrialState.PRUNED),
        "device_s_failed": device_seconds(study, plan.workers, TrialState.FAIL),
        "device_s_overhead": overhead(study, plan.workers),
        "device_s_saved_by_stopping_estimated": device_s_saved(
            study, spec.training.epochs, plan.workers
        ),
        "device_s_to_99_percent_of_best": device_s_to_reach(study, 0.99, plan.workers),
        "source_stage_s": source_stage_s,
        "seed": spec.seed,
        "version": __version__,
    }


def _sick(trials: list[FrozenTrial]) -> dict[str, int]:
    """How many trials had which sickness, warned of or stopped."""
    found = [sick.partition(":")[0] for trial in trials if (sick := trial.user_attrs.get("sick"))]
    return dict(Counter(found))


def _verdict(
    study: optuna.Study, best: FrozenTrial | None, scores: TestScores | None, looks: int
) -> str:
    if scores is not None:
        return verdict(scores, looks)
    if best is not None:
        return (
            f"Trial {best.number} has the highest {studies.metric_of(study)}. No target sample has a label: whether"
            " adaptation helped, and by how much, cannot be told."
        )
    if studies.best_trial(study) is None:
        return "No trial came to an end: there is nothing to export."
    return (
        "No checkpoint can be read: there is nothing to export. If the disk was full, make room,"
        " and run the same command with --resume and more --trials."
    )


def write_summary(summary: Summary, folder: ResultsFolder) -> None:
    write_atomically(folder.summary, json.dumps(summary, indent=2) + "\n")
