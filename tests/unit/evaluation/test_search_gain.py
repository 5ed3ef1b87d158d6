from __future__ import annotations

import pytest
from support.fake_search import make_record, make_search

from adaptune.evaluation.search_gain import (
    SearchGain,
    describe_gain,
    ranked_start_points,
    search_gain,
)
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.record import ENSEMBLE, TARGET_VAL

CYCLE = "loss_weights.cycle"
POINTS = [{CYCLE: 10.0}, {CYCLE: 3.0, "loss_weights.identity": 1.0}]
BETTER = SearchGain(best_trial=7, start_point=1, start_point_value=0.796, gain=0.032)


def study_of(*accuracies: float | None, metric: str = TARGET_VAL) -> SearchStudy:
    """Return a study of trials with these accuracies, the first two of which are start points.

    A trial without an accuracy fails.
    """
    study = create_study(make_search(search={"start_points": POINTS, "metric": metric}))
    for accuracy in accuracies:
        trial = study.ask()
        error = "step 3: nan" if accuracy is None else None
        if accuracy is not None:
            study.add_epoch(trial, make_record(1, accuracy), accuracy)
        study.tell_result(trial, epochs=1, error=error, wall_s=1.0)
    return study


def test_the_gain_is_that_of_the_best_trial_over_the_best_start_point() -> None:
    gain = search_gain(study_of(0.5, 0.75, 0.25, 0.875))
    assert gain == SearchGain(best_trial=3, start_point=1, start_point_value=0.75, gain=0.125)


@pytest.mark.parametrize("metric", [TARGET_VAL, ENSEMBLE, "infomax"])
def test_a_best_trial_that_is_a_start_point_gains_nothing(metric: str) -> None:
    gain = search_gain(study_of(0.5, 0.75, 0.25, 0.625, metric=metric))
    assert gain is not None
    assert gain.best_is_start_point
    assert (gain.best_trial, gain.gain) == (1, 0.0)
    assert describe_gain(gain, metric, 500) == (
        "The best trial, trial 1, is a start point: the search added nothing to it."
    )


def test_a_trial_that_repeats_a_start_point_counts_as_one() -> None:
    study = study_of(0.5, 0.75, 0.25)
    study.optuna_study.enqueue_trial(POINTS[1])
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.875), 0.875)
    study.tell_result(trial, epochs=1, error=None, wall_s=1.0)
    assert [trial.number for trial in ranked_start_points(study)] == [3, 1, 0]
    assert search_gain(study) == SearchGain(3, 3, start_point_value=0.875, gain=0.0)


def test_start_points_that_failed_or_have_not_ended_are_no_reference() -> None:
    assert search_gain(study_of()) is None
    assert search_gain(study_of(None, None, 0.5)) is None
    study = study_of(0.5)
    study.add_epoch(study.ask(), make_record(1, 0.9), 0.9)
    gain = search_gain(study)
    assert gain is not None
    assert gain.start_point == 0


def test_a_search_without_start_points_has_no_gain_to_tell() -> None:
    study = create_study(make_search())
    trial = study.ask()
    study.add_epoch(trial, make_record(1, 0.5), 0.5)
    study.tell_result(trial, epochs=1, error=None, wall_s=1.0)
    assert ranked_start_points(study) == []
    assert search_gain(study) is None


def test_ranks_have_no_difference_but_a_best_trial() -> None:
    gain = search_gain(study_of(0.5, 0.75, 0.875, metric=ENSEMBLE))
    assert gain == SearchGain(best_trial=2, start_point=1, start_point_value=None, gain=None)
    assert describe_gain(gain, ENSEMBLE, 500) == (
        "The best start point, trial 1, is not the best trial: ensemble ranks trial 2 above it."
    )


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (TARGET_VAL, "has 79.6% on target_val: the search added 3.2 points to it."),
        (
            "target_val_macro_f1",
            "has a macro F1 of 79.6% on target_val: the search added 3.2 points to it.",
        ),
        ("infomax", "has a score of 0.7960 by infomax: the search added 0.0320 to it."),
    ],
)
def test_the_sentence_has_the_value_and_the_gain_in_the_unit_of_the_metric(
    metric: str, sentence: str
) -> None:
    text = describe_gain(BETTER, metric, 10_000)
    assert text == f"The best start point, trial 1, {sentence}"


def test_a_start_point_that_was_stopped_is_compared_in_the_epochs_that_it_trained() -> None:
    study = create_study(make_search(search={"start_points": POINTS[:1]}))
    for accuracies in ([0.5, 0.625], [0.25, 0.75, 0.875]):
        trial = study.ask()
        for epoch, accuracy in enumerate(accuracies, start=1):
            study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
        study.tell_result(trial, epochs=3, error=None, wall_s=1.0)
    gain = search_gain(study)
    assert gain == SearchGain(1, 0, start_point_value=0.625, gain=0.125, stopped_after=2)
    assert describe_gain(gain, TARGET_VAL, 10_000) == (
        "The best start point, trial 0, has 62.5% on target_val, but was stopped after epoch 2."
        " Until then, trial 1 was 12.5 points better. What the start point would have reached is"
        " unknown."
    )


def test_a_start_point_that_led_when_it_was_stopped_is_not_beaten() -> None:
    gain = SearchGain(7, 1, start_point_value=0.75, gain=-0.125, stopped_after=1)
    text = describe_gain(gain, TARGET_VAL, 16)
    assert "trial 7 was 12.5 points worse, which is within chance for 16 images." in text


def test_two_binomial_standard_errors_of_an_accuracy_are_within_chance() -> None:
    half = SearchGain(best_trial=7, start_point=1, start_point_value=0.4, gain=0.2)
    # The variances of both are 0.24 / n: two errors are 0.2 at n = 48.
    assert describe_gain(half, TARGET_VAL, 47).endswith(
        "the search added 20.0 points to it, which is within chance for 47 images."
    )
    assert describe_gain(half, TARGET_VAL, 49).endswith("the search added 20.0 points to it.")
    assert "chance" not in describe_gain(half, "target_val_macro_f1", 47)
    assert "chance" not in describe_gain(half, "infomax", 47)
