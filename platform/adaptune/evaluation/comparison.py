"""Comparison of configurations and baselines over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean, stdev

from adaptune.evaluation.replication import Configuration, SeedResult
from adaptune.evaluation.test_scores import TARGET_SUPERVISED
from adaptune.training.significance import SIGNIFICANCE_LEVEL

_NO_SPREAD = 1e-12  # differences of accuracies, beyond rounding


@dataclass(frozen=True)
class Comparison:
    """A configuration against a baseline, paired by seed.

    Attributes:
        mean: mean difference of the test accuracies.
        low: lower end of its 95% interval.
        high: upper end of its 95% interval.
        p: p value of a two-sided paired t-test.
        seeds: number of seeds.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: int

    @property
    def conclusion(self) -> str:
        """Conclusion at the 5% level: `helps`, `hurts` or `not shown to help`."""
        if not self.p < SIGNIFICANCE_LEVEL:
            return "not shown to help"
        return "helps" if self.mean > 0 else "hurts"


@dataclass(frozen=True)
class MeanAccuracy:
    """Test accuracy of a configuration over its seeds.

    Attributes:
        configuration: name of the configuration.
        seeds: number of seeds with a result.
        mean: mean test accuracy, in [0, 1]; None if every trial failed.
        standard_error: its standard error; None with fewer than two seeds.
    """

    configuration: str
    seeds: int
    mean: float | None
    standard_error: float | None


def compare(results: Sequence[SeedResult], configuration: str, baseline: str) -> Comparison:
    """Compare a configuration with a baseline over the seeds that both have.

    With fewer than two seeds, or always the same difference, nothing is shown: p is 1.
    """
    from scipy.stats import ttest_rel  # imported late: it takes a second

    accuracies = accuracies_by_seed(results, configuration)
    baseline_accuracies = accuracies_by_seed(results, baseline)
    seeds = [seed for seed in accuracies if seed in baseline_accuracies]
    if not seeds:
        return Comparison(0.0, 0.0, 0.0, 1.0, 0)
    first = [accuracies[seed] for seed in seeds]
    second = [baseline_accuracies[seed] for seed in seeds]
    differences = [a - b for a, b in zip(first, second, strict=True)]
    mean = fmean(differences)
    if max(differences) - min(differences) < _NO_SPREAD:
        return Comparison(mean, mean, mean, 1.0, len(seeds))
    test = ttest_rel(first, second)
    interval = test.confidence_interval(1 - SIGNIFICANCE_LEVEL)
    return Comparison(
        mean, float(interval.low), float(interval.high), float(test.pvalue), len(seeds)
    )


def mean_accuracies(results: Sequence[SeedResult]) -> list[MeanAccuracy]:
    """Return the mean test accuracy of each configuration; the upper bound comes last."""
    names = list(dict.fromkeys(result.configuration for result in results))
    if TARGET_SUPERVISED in names:
        names.remove(TARGET_SUPERVISED)
        names.append(TARGET_SUPERVISED)
    means = []
    for name in names:
        accuracies = list(accuracies_by_seed(results, name).values())
        mean = standard_error = None
        if accuracies:
            mean = fmean(accuracies)
        if len(accuracies) > 1:
            standard_error = stdev(accuracies) / len(accuracies) ** 0.5
        means.append(MeanAccuracy(name, len(accuracies), mean, standard_error))
    return means


def best_on_val(
    results: Sequence[SeedResult], configurations: Sequence[Configuration]
) -> Configuration:
    """Return the configuration with the highest mean target_val accuracy.

    The test set must not choose.
    """

    def mean_val(configuration: Configuration) -> float:
        accuracies = []
        for result in results:
            if result.configuration == configuration.name and result.target_val is not None:
                accuracies.append(result.target_val)
        return fmean(accuracies) if accuracies else -inf

    return max(configurations, key=mean_val)


def accuracies_by_seed(results: Sequence[SeedResult], configuration: str) -> dict[int, float]:
    """Return the test accuracies of a configuration by seed, without failed trials."""
    accuracies = {}
    for result in results:
        if result.configuration == configuration and result.target_test is not None:
            accuracies[result.seed] = result.target_test
    return accuracies
