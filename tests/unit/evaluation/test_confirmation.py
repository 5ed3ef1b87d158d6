from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import make_record, make_search, simulate, smooth

from adaptune.errors import ResultsError
from adaptune.evaluation.confirmation import (
    against_best_baseline,
    against_start_point,
    all_values,
    best_start_point,
    choose_configurations,
    conclusion,
    top_configurations,
)
from adaptune.evaluation.replication import Configuration, SeedResult
from adaptune.evaluation.test_scores import FDA, INFORMATION_ONLY, NO_GAN, SOURCE_ONLY
from adaptune.spec.loss_terms import LOSS_TERMS
from adaptune.study.study import SearchStudy, create_study

BEST = Configuration("best", {"loss_weights.task": 1.0, "loss_weights.cycle": 1.0})


def results_of(
    best: list[float], source_only: list[float], information_only: list[float]
) -> list[SeedResult]:
    accuracies = {"best": best, SOURCE_ONLY: source_only, INFORMATION_ONLY: information_only}
    results = []
    for name, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            results.append(SeedResult(name, seed, accuracy, accuracy))
    return results


def test_the_conclusion_names_all_baselines_and_the_margins() -> None:
    results = results_of([0.9, 0.91, 0.92], [0.8, 0.8, 0.8], [0.9, 0.92, 0.91])
    first, second, third = conclusion(results, [BEST]).splitlines()
    assert first.startswith(
        "best: helps, against source only: +11.0 points on the test (+8.5 to +13.5, 95%; p "
    )
    assert first.endswith(", 3 seeds).")
    assert second.startswith(
        "best: not shown to help, against information only: +0.0 points on the test ("
    )
    assert third.startswith(
        "The best method without a GAN on target_val is information only: the GAN is not shown to"
        " be worth its cost, against information only: +0.0 points on the test ("
    )


def test_target_val_and_not_the_test_chooses_the_best_method_without_a_gan() -> None:
    scores = {"full": (0.9, 0.9), INFORMATION_ONLY: (0.6, 0.95), NO_GAN: (0.8, 0.7), FDA: (0.7, 1)}
    results = []
    for name, (val, test) in scores.items():
        for seed in range(3):
            results.append(SeedResult(name, seed, val, test - seed / 100 * (name == NO_GAN)))
    text = against_best_baseline(results, Configuration("full", {}))
    assert text.startswith(
        "The best method without a GAN on target_val is no GAN: the GAN was worth it, against no"
        " GAN: +21.0 points on the test ("
    )
    alone = [result for result in results if result.configuration == "full"]
    assert against_best_baseline(alone, Configuration("full", {})) == ""


def test_a_configuration_that_adapts_nothing_is_not_shown_to_help_whatever_it_gains() -> None:
    nothing = Configuration(
        "best",
        {"loss_weights.task": 1.0}
        | {
            f"loss_weights.{term}": 0.0
            for term in (
                "adversarial",
                "cycle",
                "identity",
                "semantic",
                "feature",
                "information",
            )
        },
    )
    results = results_of([0.9, 0.91, 0.92], [0.8, 0.8, 0.8], [0.7, 0.7, 0.71])
    text = conclusion(results, [nothing])
    assert text.startswith("best: not shown to help: every weight except task is 0")
    assert "helps" not in text
    assert "against source only: +11.0 points" in text


def test_the_top_configurations_differ_and_have_every_weight(tmp_path: Path) -> None:
    spec = make_search(search={"trials": 6}, training={"epochs": 1})
    study = simulate(spec, tmp_path / "journal", smooth)
    configurations = top_configurations(spec, study, 3)
    best = study.best_trial()
    assert best is not None
    assert len(configurations) == 3
    assert configurations[0].name.startswith(f"trial {best.number}: cycle=")
    values = configurations[0].values
    assert values["loss_weights.cycle"] == best.values["loss_weights.cycle"]
    assert values["loss_weights.semantic"] == 1.0  # as fixed in the spec


def add_trial(study: SearchStudy, cycle: float, accuracy: float) -> None:
    values = {"loss_weights.cycle": cycle, "loss_weights.identity": 1.0}
    study.optuna_study.enqueue_trial(values)
    trial = study.ask()
    study.add_epoch(trial, make_record(1, accuracy), accuracy)
    study.tell_result(trial, epochs=1, error=None, wall_s=1.0)


def test_a_configuration_that_was_tried_twice_counts_once() -> None:
    spec = make_search(training={"epochs": 1})
    study = create_study(spec)
    for cycle, accuracy in ((1.0, 0.7), (2.0, 0.9), (2.0, 0.8), (3.0, 0.6)):
        add_trial(study, cycle, accuracy)
    names = [configuration.name for configuration in top_configurations(spec, study, 3)]
    assert names == [
        "trial 1: cycle=2 identity=1",
        "trial 0: cycle=1 identity=1",
        "trial 3: cycle=3 identity=1",
    ]
    assert len(top_configurations(spec, study, 2)) == 2


def test_the_best_start_point_is_a_configuration_or_one_of_the_best() -> None:
    points = [{"loss_weights.cycle": 1.0}, {"loss_weights.cycle": 2.0}]
    spec = make_search(training={"epochs": 1}, search={"start_points": points})
    study = create_study(spec)
    for accuracy in (0.7, 0.6, 0.9, 0.8):
        trial = study.ask()
        study.add_epoch(trial, make_record(1, accuracy), accuracy)
        study.tell_result(trial, epochs=1, error=None, wall_s=1.0)
    top = top_configurations(spec, study, 3)
    assert [configuration.short_name for configuration in top] == ["trial 2", "trial 3", "trial 0"]
    assert best_start_point(spec, study, top) is top[2]
    extra = best_start_point(spec, study, top[:2])
    assert extra == top[2]
    assert best_start_point(spec, create_study(spec), top) is None


def test_a_named_trial_must_be_there() -> None:
    spec = make_search(training={"epochs": 1})
    study = create_study(spec)
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.5), 0.5)
    study.tell_result(trial, epochs=1, error=None, wall_s=1.0)
    with pytest.raises(ResultsError, match="there is no trial 9; there are 0"):
        choose_configurations(spec, study, 1, [9])


def test_the_best_trial_is_compared_with_the_best_start_point() -> None:
    best, point = Configuration("trial 7: cycle=1", {"a": 1}), Configuration("trial 1", {"a": 2})
    words = {
        (0.9, 0.91, 0.92): "the search added to it, +11.0 points on the test (+8.5 to +13.5, 95%;",
        (0.7, 0.71, 0.72): "the search made it worse, -9.0 points",
        (0.9, 0.8, 0.73): "the search is not shown to have added to it, +1.0 points",
    }
    for scores, text in words.items():
        results = []
        for seed, score in enumerate(scores):
            results.append(SeedResult(best.name, seed, score, score))
            results.append(SeedResult(point.name, seed, 0.8, 0.8))
        sentence = against_start_point(results, best, point)
        start = "The best trial, trial 7, against the best start point, trial 1: "
        assert sentence.startswith(start + text)
        assert sentence.endswith(", 3 seeds).")


def test_a_best_trial_that_is_a_start_point_is_compared_with_nothing() -> None:
    point = Configuration("trial 1: cycle=1", {"a": 1})
    assert against_start_point([], point, point) == (
        "The best trial, trial 1, is a start point: the search added nothing to it."
    )


def test_a_search_of_nothing_has_one_configuration_without_values_in_its_name() -> None:
    spec = make_search(space={}, training={"epochs": 1})
    study = create_study(spec)
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.5), 0.5)
    study.tell_result(trial, epochs=1, error=None, wall_s=1.0)
    [configuration] = top_configurations(spec, study, 3)
    assert configuration.name == "trial 0"
    assert configuration.values["loss_weights.cycle"] == 0.1


def test_all_values_are_the_weights_and_everything_else_that_is_searched() -> None:
    width = {"search": "int", "low": 8, "high": 32}
    spec = make_search(space={"model.generator.width": width})
    values = all_values(spec, {"model.generator.width": 16})
    assert values["model.generator.width"] == 16
    assert values["loss_weights.cycle"] == pytest.approx(0.1)
    assert len(values) == len(LOSS_TERMS) + 1
