"""Confirmation of the best trials under new seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adaptune.evaluation.comparison import best_on_val, compare
from adaptune.evaluation.replication import Configuration, SeedResult
from adaptune.evaluation.search_gain import ranked_start_points
from adaptune.evaluation.test_scores import NAMES, SOURCE_ONLY
from adaptune.spec.baselines import WITHOUT_GAN
from adaptune.spec.distributions import Value
from adaptune.spec.loss_terms import LOSS_TERMS
from adaptune.spec.schema import SearchSpec
from adaptune.spec.tree import value_at
from adaptune.study.job import format_values
from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial, find_trial
from adaptune.training.metrics import ACCURACY, METRICS

_TASK = "loss_weights.task"


@dataclass(frozen=True)
class Confirmation:
    """Configurations that `confirm` trains, and those that it compares with the best one.

    Attributes:
        configurations: the distinct configurations, that of the best trial first.
        start_point: configuration of the best start point; None if no start point has a result.
        named: configurations of the trials that the user named.
    """

    configurations: Sequence[Configuration]
    start_point: Configuration | None
    named: Sequence[Configuration]

    def conclude(self, results: Sequence[SeedResult], metric: str) -> str:
        """Return the comparisons of the best configuration in words."""
        best = self.configurations[0]
        lines = [conclusion(results, self.configurations, metric)]
        if self.start_point is not None:
            lines.append(against_start_point(results, best, self.start_point, metric))
        for other in self.named:
            if other != best:
                lines.append(against_trial(results, best, other, metric))
        return "\n".join(lines)


def choose_configurations(
    spec: SearchSpec, study: SearchStudy, top: int, numbers: Sequence[int] = ()
) -> Confirmation:
    """Choose the best configurations of a search, its best start point, and named trials.

    Args:
        top: number of best configurations.
        numbers: numbers of the named trials.

    Raises:
        ResultsError: there is no trial of such a number.
    """
    configurations = top_configurations(spec, study, top)
    start_point = best_start_point(spec, study, configurations)
    if start_point is not None and start_point not in configurations:
        configurations.append(start_point)
    named = []
    trials = study.started_trials()
    for number in numbers:
        trial = find_trial(trials, number)
        configuration = _configuration_or_equal(spec, trial, configurations)
        if configuration not in configurations:
            configurations.append(configuration)
        named.append(configuration)
    return Confirmation(configurations, start_point, named)


def top_configurations(spec: SearchSpec, study: SearchStudy, count: int) -> list[Configuration]:
    """Return the best distinct configurations of a search, best first."""
    configurations: list[Configuration] = []
    for trial in study.ranked_trials():
        values = all_values(spec, trial.values)
        if len(configurations) == count:
            break
        if any(values == configuration.values for configuration in configurations):
            continue
        configurations.append(_configuration_of(trial, values))
    return configurations


def best_start_point(
    spec: SearchSpec, study: SearchStudy, configurations: Sequence[Configuration]
) -> Configuration | None:
    """Return the configuration of the best start point; None if no start point has a result.

    Args:
        configurations: configurations to take it from, if it is among them.
    """
    trial = next(iter(ranked_start_points(study)), None)
    if trial is None:
        return None
    return _configuration_or_equal(spec, trial, configurations)


def all_values(spec: SearchSpec, sampled: Mapping[str, Value]) -> dict[str, Value]:
    """Return every loss weight of the method, and everything else that is searched."""
    tree = spec.trial(sampled).model_dump()
    weights = []
    for name, term in LOSS_TERMS.items():
        if spec.method in term.methods:
            weights.append(f"loss_weights.{name}")
    paths = dict.fromkeys([*weights, *spec.space])
    return {path: value_at(tree, path) for path in paths}


def conclusion(
    results: Sequence[SeedResult],
    configurations: Sequence[Configuration],
    metric: str = ACCURACY,
) -> str:
    """Return, in words, how the best configuration on target_val compares with the baselines.

    Args:
        metric: metric of the results: a key of `METRICS`.
    """
    best = best_on_val(results, configurations)
    lines = []
    weights = [path for path in best.values if path.startswith("loss_weights.")]
    adapts = any(best.values[path] for path in weights if path != _TASK)
    if not adapts:
        lines.append(
            f"{best.name}: not shown to help: every weight except task is 0, so nothing in it"
            " adapts to the target. Its gain is that of more training on the source."
        )
    for baseline in trained_baselines(results):
        word = f"{compare(results, best.name, baseline).conclusion}, " if adapts else ""
        lines.append(f"{best.name}: {word}{difference(results, best.name, baseline, metric)}.")
    if adapts:
        lines.append(against_best_baseline(results, best, metric))
    return "\n".join(lines).rstrip()


def against_best_baseline(
    results: Sequence[SeedResult], configuration: Configuration, metric: str = ACCURACY
) -> str:
    """Return, in words, whether a GAN was worth it over the best baseline without one.

    The mean score on target_val chooses the baseline: the test must not. Without any baseline, the
    text is empty.

    Args:
        results: results of the configuration and of the baselines.
        metric: metric of the results: a key of `METRICS`.
    """
    baselines = [name for name in trained_baselines(results) if name != SOURCE_ONLY]
    if not baselines:
        return ""
    best = best_on_val(results, [Configuration(name, {}) for name in baselines]).name
    words = {
        "helps": "the GAN was worth it",
        "hurts": "the GAN was not worth its cost",
        "not shown to help": "the GAN is not shown to be worth its cost",
    }
    word = words[compare(results, configuration.name, best).conclusion]
    text = difference(results, configuration.name, best, metric)
    return f"The best method without a GAN on target_val is {best}: {word}, {text}."


def against_start_point(
    results: Sequence[SeedResult],
    best: Configuration,
    start_point: Configuration,
    metric: str = ACCURACY,
) -> str:
    """Return, in words, how the best trial of a search compares with the best start point.

    Args:
        results: results of both.
        best: configuration of the best trial.
        start_point: configuration of the best start point.
        metric: metric of the results: a key of `METRICS`.
    """
    if best == start_point:
        return (
            f"The best trial, {best.short_name}, is a start point: the search added nothing to it."
        )
    words = {
        "helps": "the search added to it",
        "hurts": "the search made it worse",
        "not shown to help": "the search is not shown to have added to it",
    }
    word = words[compare(results, best.name, start_point.name).conclusion]
    margin = _margin(results, best.name, start_point.name, metric)
    return (
        f"The best trial, {best.short_name}, against the best start point,"
        f" {start_point.short_name}: {word}, {margin}."
    )


def against_trial(
    results: Sequence[SeedResult],
    best: Configuration,
    other: Configuration,
    metric: str = ACCURACY,
) -> str:
    """Return, in words, how the best trial of a search compares with another one."""
    margin = _margin(results, best.name, other.name, metric)
    return f"The best trial, {best.short_name}, against {other.short_name}: {margin}."


def trained_baselines(results: Sequence[SeedResult]) -> list[str]:
    """Return the names of the baselines in the results, apart from the upper bound."""
    names = {result.configuration for result in results}
    baselines = (SOURCE_ONLY, *(NAMES[key] for key in WITHOUT_GAN))
    return [name for name in baselines if name in names]


def difference(
    results: Sequence[SeedResult], configuration: str, baseline: str, metric: str
) -> str:
    """Return the mean difference of a configuration to a baseline on the test, as a phrase."""
    return f"against {baseline}: {_margin(results, configuration, baseline, metric)}"


def _margin(results: Sequence[SeedResult], configuration: str, baseline: str, metric: str) -> str:
    comparison = compare(results, configuration, baseline)
    points = "points" if metric == ACCURACY else f"points of {METRICS[metric]}"
    return (
        f"{100 * comparison.mean:+.1f} {points} on the test"
        f" ({100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}, 95%;"
        f" p {comparison.p:.2g}, {comparison.seeds} seeds)"
    )


def _configuration_or_equal(
    spec: SearchSpec, trial: StudyTrial, configurations: Sequence[Configuration]
) -> Configuration:
    """Return the configuration of a trial, or that of these which has the same values."""
    values = all_values(spec, trial.values)
    for configuration in configurations:
        if configuration.values == values:
            return configuration
    return _configuration_of(trial, values)


def _configuration_of(trial: StudyTrial, values: Mapping[str, Value]) -> Configuration:
    name = f"trial {trial.number}"
    if trial.values:
        name += f": {format_values(trial.values)}"
    return Configuration(name, values)
