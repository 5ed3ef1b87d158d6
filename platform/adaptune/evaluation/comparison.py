"""Comparison of configurations and baselines over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean, stdev

from adaptune.evaluation.replication import Configuration, SeedResult
from adaptune.evaluation.test_scores import TARGET_SUPERVISED
from adaptune.training.significance import SIGNIFICANCE_LEVEL

_NO_SPREAD = 1e-12  # differences of scores, beyond rounding


@dataclass(frozen=True)
class Comparison:
    """A configuration against a baseline, paired by seed.

    Attributes:
        mean: mean difference of the test scores.
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
class MeanScore:
    """Test score of a configuration over its seeds: its accuracy, or another metric.

    Attributes:
        configuration: name of the configuration.
        seeds: number of seeds with a result.
        mean: mean test score, in [0, 1]; None if every trial failed.
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

    scores = scores_by_seed(results, configuration)
    baseline_scores = scores_by_seed(results, baseline)
    seeds = [seed for seed in scores if seed in baseline_scores]
    if not seeds:
        return Comparison(0.0, 0.0, 0.0, 1.0, 0)
    first = [scores[seed] for seed in seeds]
    second = [baseline_scores[seed] for seed in seeds]
    differences = [a - b for a, b in zip(first, second, strict=True)]
    mean = fmean(differences)
    if max(differences) - min(differences) < _NO_SPREAD:
        return Comparison(mean, mean, mean, 1.0, len(seeds))
    test = ttest_rel(first, second)
    interval = test.confidence_interval(1 - SIGNIFICANCE_LEVEL)
    return Comparison(
        mean, float(interval.low), float(interval.high), float(test.pvalue), len(seeds)
    )


def mean_scores(results: Sequence[SeedResult]) -> list[MeanScore]:
    """Return the mean test score of each configuration; the upper bound comes last."""
    names = list(dict.fromkeys(result.configuration for result in results))
    if TARGET_SUPERVISED in names:
        names.remove(TARGET_SUPERVISED)
        names.append(TARGET_SUPERVISED)
    means = []
    for name in names:
        scores = list(scores_by_seed(results, name).values())
        mean = standard_error = None
        if scores:
            mean = fmean(scores)
        if len(scores) > 1:
            standard_error = stdev(scores) / len(scores) ** 0.5
        means.append(MeanScore(name, len(scores), mean, standard_error))
    return means


def best_on_val(
    results: Sequence[SeedResult], configurations: Sequence[Configuration]
) -> Configuration:
    """Return the configuration with the highest mean score on target_val.

    The test set must not choose.
    """

    def mean_val(configuration: Configuration) -> float:
        scores = []
        for result in results:
            if result.configuration == configuration.name and result.target_val is not None:
                scores.append(result.target_val)
        return fmean(scores) if scores else -inf

    return max(configurations, key=mean_val)


def scores_by_seed(results: Sequence[SeedResult], configuration: str) -> dict[int, float]:
    """Return the test scores of a configuration by seed, without failed trials."""
    scores = {}
    for result in results:
        if result.configuration == configuration and result.target_test is not None:
            scores[result.seed] = result.target_test
    return scores
