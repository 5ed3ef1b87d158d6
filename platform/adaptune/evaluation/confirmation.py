"""Whether the best settings of a search hold under fresh seeds, and what each part of the best one is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import optuna

from adaptune.evaluation.replication import (
    INFORMATION_ONLY,
    NO_GAN,
    SOURCE_ONLY,
    SUPERVISED,
    Row,
    Setting,
)
from adaptune.evaluation.verdict import LEVEL
from adaptune.search import study as studies
from adaptune.search.trial import format_values
from adaptune.spec.distributions import Value
from adaptune.spec.schema import LossWeights, SearchSpec, value_at

# CyCADA's own table: what is left out of the winner.
_OFF: dict[str, tuple[str, ...]] = {
    "pixel only": ("semantic", "feature", "information"),
    "feature only": ("adversarial", "cycle", "identity", "semantic", "information"),
    "no cycle": ("cycle",),
    "no semantic": ("semantic",),
    "no identity": ("identity",),
    "no feature": ("feature",),
    "no information": ("information",),
}
FULL = "full"
_ADAPTING = {f"loss_weights.{term}" for term in LossWeights.model_fields if term != "task"}


@dataclass(frozen=True)
class Comparison:
    """A setting against a rival, seed by seed: the mean difference of test accuracies, its 95% interval, and p."""

    mean: float
    low: float
    high: float
    p: float
    seeds: int

    @property
    def word(self) -> str:
        """helps, hurts, or not shown to help (two-sided paired t-test at 5%)."""
        if not self.p < LEVEL:
            return "not shown to help"
        return "helps" if self.mean > 0 else "hurts"


def top_settings(spec: SearchSpec, study: optuna.Study, count: int) -> list[Setting]:
    """The best settings of a search that differ, best first."""
    found: list[Setting] = []
    for trial in studies.ranked(study):
        values = _all_values(spec, trial.params)
        if values not in [setting.values for setting in found] and len(found) < count:
            name = (
                f"trial {trial.number}: {format_values(trial.params)}"
                if trial.params
                else f"trial {trial.number}"
            )
            found.append(Setting(name, values))
    return found


def ablations(spec: SearchSpec, params: Mapping[str, Value]) -> list[Setting]:
    """The winner, and the winner without this or that; what is off in it already is left out: see `inactive_ablations`."""
    full = _all_values(spec, params)
    settings = [Setting(FULL, full)]
    for name, terms in _OFF.items():
        if name == "feature only" and (
            spec.method == "cyclegan" or not full["loss_weights.feature"]
        ):
            continue  # there is nothing that adapts
        values = full | {f"loss_weights.{term}": 0.0 for term in terms}
        if values not in [setting.values for setting in settings]:
            settings.append(Setting(name, values))
    return settings


def inactive_ablations(full: Setting) -> list[str]:
    """The rows of the table that the winner is itself."""
    return [
        name
        for name, terms in _OFF.items()
        if not any(full.values[f"loss_weights.{term}"] for term in terms)
    ]


def compare(rows: Sequence[Row], setting: str, rival: str) -> Comparison:
    """Paired over the seeds under which both were trained. With fewer than two nothing is shown: p is 1."""
    from scipy.stats import t, ttest_rel  # imported late: it takes a second

    ours, theirs = (_tests(rows, name) for name in (setting, rival))
    pairs = [(ours[seed], theirs[seed]) for seed in ours if seed in theirs]
    differences = [own - other for own, other in pairs]
    if not differences:
        return Comparison(0.0, 0.0, 0.0, 1.0, 0)
    mean = fmean(differences)
    spread = stdev(differences) if len(pairs) > 1 else 0.0
    if not spread:  # one seed, or always the same difference: nothing to measure chance by
        return Comparison(mean, mean, mean, 1.0, len(pairs))
    half = float(t.ppf(1 - LEVEL / 2, len(pairs) - 1)) * spread / len(pairs) ** 0.5
    p = float(ttest_rel(*zip(*pairs, strict=True)).pvalue)
    return Comparison(mean, mean - half, mean + half, p, len(pairs))


def winner(rows: Sequence[Row], settings: Sequence[Setting]) -> Setting:
    """The setting with the highest mean target_val: the test must not choose."""

    def val(setting: Setting) -> float:
        known = [
            row.target_val
            for row in rows
            if row.setting == setting.name and row.target_val is not None
        ]
        return fmean(known) if known else float("-inf")

    return max(settings, key=val)


def verdict(rows: Sequence[Row], setting: Setting) -> str:
    """`setting` against its rivals, in words."""
    lines = []
    adapts = any(value for path, value in setting.values.items() if path in _ADAPTING)
    if not adapts:
        lines.append(
            f"{setting.name}: not shown to help: every weight but task is 0, so that nothing in it adapts to the"
            " target. What it gains, more training on the source gains."
        )
    for rival in (SOURCE_ONLY, INFORMATION_ONLY, NO_GAN):
        found = compare(rows, setting.name, rival)
        lines.append(
            f"{setting.name}: {found.word + ', ' if adapts else ''}against {rival}:"
            f" {100 * found.mean:+.1f} points on the test"
            f" ({100 * found.low:+.1f} to {100 * found.high:+.1f}, 95%; p {found.p:.2g}, {found.seeds} seeds)."
        )
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> list[tuple[str, int, float | None, float | None]]:
    """(setting, seeds, mean test accuracy, its standard error), rivals first; None where not known."""
    names = dict.fromkeys(row.setting for row in rows)
    last = [SUPERVISED] if SUPERVISED in names else []
    order = [name for name in names if name != SUPERVISED] + last
    found = []
    for name in order:
        tests = list(_tests(rows, name).values())
        error = stdev(tests) / len(tests) ** 0.5 if len(tests) > 1 else None
        found.append((name, len(tests), fmean(tests) if tests else None, error))
    return found


def _tests(rows: Sequence[Row], setting: str) -> dict[int, float]:
    return {
        row.seed: row.target_test
        for row in rows
        if row.setting == setting and row.target_test is not None
    }


def _all_values(spec: SearchSpec, params: Mapping[str, Value]) -> dict[str, Value]:
    """Every loss weight, and whatever else is searched, drawn or not."""
    tree = spec.trial(params).model_dump()
    paths = dict.fromkeys(
        [*(f"loss_weights.{term}" for term in LossWeights.model_fields), *spec.space]
    )
    return {path: value_at(tree, path) for path in paths}
