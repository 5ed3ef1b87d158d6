from __future__ import annotations

import pytest
from support.fake_search import make_record, make_search

from adaptune.evaluation.stopping_agreement import rung_agreements, stopping_verdict
from adaptune.study.study import SearchStudy, create_study


def study_of(*curves: list[float]) -> SearchStudy:
    study = create_study(make_search())
    for curve in curves:
        trial = study.ask()
        for epoch, accuracy in enumerate(curve, start=1):
            study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
        study.tell_result(trial, epochs=3, error=None, wall_s=1.0)
    return study


def test_the_order_at_a_rung_is_compared_with_that_of_the_best_epochs() -> None:
    study = study_of([0.1, 0.4, 0.5], [0.2, 0.3, 0.6], [0.3, 0.9, 0.8], [0.9])
    first, second = rung_agreements(study.started_trials(), [1, 2])
    assert (first.epoch, first.trials, first.tau) == (1, 3, pytest.approx(1))
    assert second.tau == pytest.approx(1 / 3)
    assert second.kept_best


def test_a_best_trial_that_starts_slowly_is_noticed() -> None:
    study = study_of([0.1, 0.4, 0.9], [0.2, 0.3, 0.6], [0.3, 0.9, 0.5], [0.4, 0.4, 0.4])
    [rung] = rung_agreements(study.started_trials(), [1])
    assert rung.tau is not None
    assert rung.tau < 0
    assert not rung.kept_best


def test_few_complete_trials_or_ties_say_nothing() -> None:
    assert rung_agreements(study_of([0.1, 0.2, 0.3], [0.2, 0.3, 0.4]).started_trials(), [1]) == []
    [rung] = rung_agreements(study_of(*[[0.5, 0.5, 0.5]] * 3).started_trials(), [1])
    assert rung.tau is None


def test_the_summary_says_that_early_stopping_ranked_rightly() -> None:
    rising = [[0.1 * rank, 0.1 * rank + 0.2, 0.1 * rank + 0.3] for rank in range(6)]
    assert stopping_verdict(study_of(*rising, [0.1]).started_trials(), [1, 2]) == (
        "Early stopping ranked rightly (Kendall's τ with the end, 6 trials: 1.00 after epoch 1,"
        " 1.00 after epoch 2)."
    )
    assert (
        stopping_verdict(study_of(*rising).started_trials(), [1, 2]) is None
    )  # it stopped nothing


@pytest.mark.parametrize(
    ("at_second_rung", "remedy"),
    [(1, "set search.scheduler.grace_epochs: 2"), (-1, "take search.scheduler: none")],
)
def test_the_summary_says_what_to_change_if_early_stopping_misled(
    at_second_rung: int, remedy: str
) -> None:
    crossing = []
    for rank in range(6):
        crossing.append([0.5 - 0.05 * rank, 0.5 + 0.05 * rank * at_second_rung, 0.6 + 0.05 * rank])
    text = stopping_verdict(study_of(*crossing, [0.1]).started_trials(), [1, 2])
    assert text is not None
    assert text.startswith("Early stopping may have misled this search (Kendall's τ with the end")
    assert text.endswith(f": {remedy}.")


def test_too_few_complete_trials_tell_nothing_about_early_stopping() -> None:
    text = stopping_verdict(study_of(*[[0.1, 0.2, 0.3]] * 5, [0.1]).started_trials(), [1, 2])
    assert text is not None
    assert text.startswith("Too few trials trained all epochs")
