"""Comparisons over seeds: paired tests, means, and the choice by target_val."""

from __future__ import annotations

import math

import pytest

from adaptune.evaluation.comparison import (
    Comparison,
    MeanScore,
    best_on_val,
    compare,
    mean_scores,
    scores_by_seed,
)
from adaptune.evaluation.replication import Configuration, SeedResult
from adaptune.evaluation.test_scores import SOURCE_ONLY, TARGET_SUPERVISED


def results_of(name: str, accuracies: list[float]) -> list[SeedResult]:
    return [SeedResult(name, seed, value, value) for seed, value in enumerate(accuracies)]


def compare_accuracies(best: list[float], source_only: list[float]) -> Comparison:
    results = [*results_of("best", best), *results_of(SOURCE_ONLY, source_only)]
    return compare(results, "best", SOURCE_ONLY)


@pytest.mark.parametrize(
    ("accuracies", "conclusion"),
    [
        ([0.9, 0.91, 0.92, 0.9, 0.93], "helps"),
        ([0.7, 0.72, 0.71, 0.7, 0.74], "hurts"),
        # Higher on average, but within chance.
        ([0.9, 0.7, 0.85, 0.76, 0.8], "not shown to help"),
        # Exactly the same.
        ([0.8, 0.81, 0.79, 0.8, 0.8], "not shown to help"),
        # One seed proves nothing.
        ([0.9], "not shown to help"),
    ],
)
def test_the_conclusion_is_a_paired_tests_over_seeds(
    accuracies: list[float], conclusion: str
) -> None:
    comparison = compare_accuracies(accuracies, [0.8, 0.81, 0.79, 0.8, 0.8])
    assert comparison.conclusion == conclusion
    assert comparison.low <= comparison.mean <= comparison.high
    assert comparison.seeds == len(accuracies)


def test_the_interval_is_students_with_one_degree_of_freedom_less_than_seeds() -> None:
    # Differences 0.1, 0.2, 0.3: mean 0.2, standard deviation 0.1, so the standard error is 0.1/√3.
    comparison = compare_accuracies([0.6, 0.7, 0.8], [0.5, 0.5, 0.5])
    half_width = 4.302653 * 0.1 / math.sqrt(3)
    assert comparison.mean == pytest.approx(0.2)
    assert comparison.low == pytest.approx(0.2 - half_width)
    assert comparison.high == pytest.approx(0.2 + half_width)
    # With two degrees of freedom, P(|T| > t) = 1 − t / √(2 + t²), and t² = 12 here.
    assert comparison.p == pytest.approx(1 - math.sqrt(12 / 14))


def test_equal_differences_are_no_evidence_even_if_rounding_tells_them_apart() -> None:
    comparison = compare_accuracies([0.9, 0.8, 0.7], [0.8, 0.7, 0.6])
    assert comparison.p == 1.0
    assert comparison.conclusion == "not shown to help"


def test_pairs_are_of_one_seed_and_a_failed_trial_makes_none() -> None:
    results = [
        *results_of("best", [0.9, 0.8]),
        *results_of(SOURCE_ONLY, [0.7, 0.7]),
        SeedResult("best", 2, None, None),
        SeedResult(SOURCE_ONLY, 2, 0.1, 0.1),
    ]
    comparison = compare(results, "best", SOURCE_ONLY)
    assert comparison.seeds == 2
    assert comparison.mean == pytest.approx(0.15)
    assert compare(results, "absent", SOURCE_ONLY) == Comparison(0.0, 0.0, 0.0, 1.0, 0)
    assert compare(results, "absent", SOURCE_ONLY).conclusion == "not shown to help"
    assert scores_by_seed(results, "best") == {0: 0.9, 1: 0.8}


def test_target_val_chooses_among_configurations_and_the_test_does_not() -> None:
    configurations = [Configuration("a", {}), Configuration("b", {}), Configuration("c", {})]
    results = [
        SeedResult("a", 0, 0.9, 0.1),
        SeedResult("b", 0, 0.8, 0.99),
        SeedResult("b", 1, None, None),
    ]
    assert best_on_val(results, configurations).name == "a"


def test_the_table_has_means_and_standard_errors_with_the_upper_bound_last() -> None:
    results = [
        *results_of(TARGET_SUPERVISED, [1.0]),
        *results_of("best", [0.8, 0.9]),
        SeedResult("broken", 0, None, None),
    ]
    best, broken, upper_bound = mean_scores(results)
    assert (best.configuration, best.seeds) == ("best", 2)
    assert best.mean == pytest.approx(0.85)
    assert best.standard_error == pytest.approx(0.05)
    assert broken == MeanScore("broken", 0, None, None)
    assert upper_bound == MeanScore(TARGET_SUPERVISED, 1, 1.0, None)
