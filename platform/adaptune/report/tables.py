"""What a search has to show, as tables: the terminal and the page lay them out each in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from adaptune.evaluation.validator_regret import validator_regrets
from adaptune.results.folder import ResultsFolder
from adaptune.search import study as studies
from adaptune.search.trial import format_objective, format_values
from adaptune.spec.schema import SearchSpec

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "stopped early",
    "FAIL": "failed",
    "RUNNING": "running or interrupted",
}
_COSTS = {
    "device_s_useful": "of trials that ran to their end",
    "device_s_pruned": "of trials stopped early",
    "device_s_failed": "of failed trials",
    "device_s_overhead": "held without training or evaluation",
    "device_s_to_99_percent_of_best": "until 99% of the best was reached",
    "device_s_saved_by_stopping_estimated": "saved by stopping early (an estimate: had they run on at their pace)",
}


@dataclass(frozen=True)
class Table:
    """Rows of text; false where there are none."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def __bool__(self) -> bool:
        return bool(self.rows)


def trials(study: optuna.Study, spec: SearchSpec) -> Table:
    """A row a trial: how far it came, how good it was, and its values or its error."""
    metric = spec.search.metric
    rows = []
    for trial in studies.started(study):
        best = studies.best_record(trial, metric)
        rows.append(
            (
                str(trial.number),
                STATES[trial.state.name],
                f"{max(studies.curve(trial), default=0)}/{spec.training.epochs}",
                str(best["epoch"]) if best else "",
                format_objective(metric, best[studies.OBJECTIVE]).split()[-1] if best else "",
                trial.user_attrs.get("error") or format_values(trial.params),
            )
        )
    return Table(
        ("trial", "state", "epoch", "best epoch", metric.removesuffix("_accuracy"), "values"), rows
    )


def costs(summary: Mapping[str, Any]) -> Table:
    rows = [
        (words, f"{summary[key]:.0f}")
        for key, words in _COSTS.items()
        if summary.get(key) is not None
    ]
    return Table(("device seconds", ""), rows)


def validators(study: optuna.Study) -> Table:
    """How each validator would have done as the guide."""
    rows = [
        (
            one.validator,
            "–" if one.correlation is None else f"{one.correlation:.2f}",
            f"trial {one.chosen_trial}, epoch {one.chosen_epoch}",
            f"{100 * one.regret:.1f}",
        )
        for one in validator_regrets(study)
    ]
    return Table(
        ("as the guide", "rank correlation", "would choose", "regret, points of target_val"), rows
    )


def front(study: optuna.Study, spec: SearchSpec) -> Table:
    """The trials that no other beats in both objectives; none of a search with one."""
    rows = []
    if spec.search.objectives > 1:
        for trial in sorted(study.best_trials, key=lambda trial: trial.values[1]):
            worth, seconds = trial.values
            guide = format_objective(spec.search.metric, worth)
            rows.append(
                (f"trial {trial.number}", guide, f"{seconds:.0f}", format_values(trial.params))
            )
    return Table(("Pareto front", "", "seconds", "values"), rows)


def repeats(folder: ResultsFolder, kind: str) -> tuple[Table, list[str]]:
    """What `confirm` or `ablation` left: its table, and what was concluded from it."""
    file = folder.path / kind / f"{kind}.md"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    head, *rows = [
        _cells(line) for line in lines if line.startswith("|") and not line.startswith("|-")
    ] or [()]
    return Table(head, rows), [line for line in lines if line and not line.startswith("|")]


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip("|").split("|"))
