from __future__ import annotations

from collections.abc import Sequence

import pytest
from optuna.trial import Trial
from support.fake_search import make_record, make_search

from adaptune.study.retention import (
    least_useful_first,
    needed_by_group,
    needed_checkpoints,
    unneeded_files,
)
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.checkpoint import TrialFile

MID_EPOCH = TrialFile("mid-epoch.pt", "mid-epoch", 0, 1)
DRAFT = TrialFile(".epoch-0004.pt.1f.part", "draft", 0, 1)


def checkpoint(epoch: int) -> TrialFile:
    return TrialFile(f"epoch-{epoch:04d}.pt", "checkpoint", epoch, 1)


def earlier(epoch: int) -> TrialFile:
    return TrialFile(f"epoch-{epoch:04d}.earlier-1.pt", "checkpoint", epoch, 1, is_earlier=True)


def grid(epoch: int) -> TrialFile:
    return TrialFile(f"epoch-{epoch:04d}.png", "sample grid", epoch, 1)


@pytest.fixture
def study() -> SearchStudy:
    return create_study(make_search(training={"epochs": 3}))


def add_trial(
    study: SearchStudy, accuracies: Sequence[float], *, ends: bool = True, error: str | None = None
) -> int:
    return train(study, study.ask(), accuracies, ends=ends, error=error)


def add_group(study: SearchStudy, *members: Sequence[float], running: Sequence[int] = ()) -> int:
    trials = study.ask_group(len(members))
    for place, (trial, accuracies) in enumerate(zip(trials, members, strict=True)):
        train(study, trial, accuracies, ends=place not in running)
    return trials[0].number


def train(
    study: SearchStudy,
    trial: Trial,
    accuracies: Sequence[float],
    *,
    ends: bool = True,
    error: str | None = None,
) -> int:
    for epoch, accuracy in enumerate(accuracies, start=1):
        study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
    if ends:
        study.tell_result(trial, epochs=3, error=error, wall_s=None)
    return trial.number


def test_a_running_trial_needs_its_best_and_its_newest_checkpoints(study: SearchStudy) -> None:
    trial = study.trial(add_trial(study, (0.9, 0.2, 0.4), ends=False))
    files = [checkpoint(1), checkpoint(2), checkpoint(3), MID_EPOCH, grid(1), DRAFT]
    assert needed_checkpoints(trial, files) == {checkpoint(1), checkpoint(3), MID_EPOCH}


@pytest.mark.parametrize("error", [None, "step 3: nan"])
@pytest.mark.parametrize("accuracies", [(0.9, 0.2, 0.4), (0.9, 0.2)])
def test_an_ended_trial_needs_its_best_checkpoint_only(
    study: SearchStudy, accuracies: Sequence[float], error: str | None
) -> None:
    trial = study.trial(add_trial(study, accuracies, error=error))
    files = [checkpoint(1), checkpoint(2), checkpoint(3), MID_EPOCH, grid(1), DRAFT]
    assert unneeded_files([trial], files) == [checkpoint(2), checkpoint(3), MID_EPOCH, DRAFT]


def test_the_best_of_the_others_stands_in_for_a_best_checkpoint_that_was_not_written(
    study: SearchStudy,
) -> None:
    trial = study.trial(add_trial(study, (0.2, 0.9, 0.4)))
    assert unneeded_files([trial], [checkpoint(1), checkpoint(3)]) == [checkpoint(1)]


def test_a_trial_that_failed_in_its_first_epoch_needs_nothing(study: SearchStudy) -> None:
    trial = study.trial(add_trial(study, (), error="out of memory"))
    assert unneeded_files([trial], [MID_EPOCH]) == [MID_EPOCH]


def test_unneeded_checkpoints_go_first_then_sample_grids_then_the_worst_trials(
    study: SearchStudy,
) -> None:
    best = add_trial(study, (0.5, 0.9))
    worst = add_trial(study, (0.4, 0.3))
    failed = add_trial(study, (0.8,), error="nan")
    running = add_trial(study, (0.6, 0.2, 0.1), ends=False)
    files = {
        best: [checkpoint(2), grid(1), grid(2)],
        worst: [checkpoint(1), grid(2), grid(1)],
        failed: [checkpoint(1)],
        running: [checkpoint(1), checkpoint(2), checkpoint(3), grid(1), MID_EPOCH],
    }
    assert list(least_useful_first(study, files)) == [
        (running, checkpoint(2)),
        (worst, grid(1)),
        (worst, grid(2)),
        (best, grid(1)),
        (running, grid(1)),
        (failed, checkpoint(1)),
        (worst, checkpoint(1)),
    ]


def test_the_next_trial_is_spared_if_the_best_one_has_no_checkpoint(study: SearchStudy) -> None:
    best = add_trial(study, (0.9,))
    second = add_trial(study, (0.8,))
    third = add_trial(study, (0.7,))
    files = {best: [grid(1)], second: [checkpoint(1), grid(1)], third: [checkpoint(1)]}
    order = [(best, grid(1)), (third, checkpoint(1))]
    assert list(least_useful_first(study, files)) == order


def test_a_group_needs_what_any_of_its_trials_needs(study: SearchStudy) -> None:
    files = [*(checkpoint(epoch) for epoch in (1, 2, 3, 4)), MID_EPOCH]
    ended = study.group(add_group(study, (0.9, 0.2), (0.1, 0.2, 0.8, 0.3)))
    assert needed_by_group(ended, files) == {checkpoint(1), checkpoint(3)}
    partly = study.group(add_group(study, (0.9, 0.2), (0.1, 0.8, 0.2, 0.3), running=[1]))
    assert needed_by_group(partly, files) == {
        *(checkpoint(1), checkpoint(2), checkpoint(4)),
        MID_EPOCH,
    }


def test_a_group_leaves_files_that_nothing_needs_once_all_of_its_trials_have_ended(
    study: SearchStudy,
) -> None:
    files = [checkpoint(1), checkpoint(2), checkpoint(3), MID_EPOCH, grid(1), DRAFT]
    partly = study.group(add_group(study, (0.9, 0.2), (0.1, 0.8, 0.2), running=[1]))
    assert unneeded_files(partly, files) == []
    ended = study.group(add_group(study, (0.9, 0.2), (0.1, 0.8, 0.2)))
    assert unneeded_files(ended, files) == [checkpoint(3), MID_EPOCH, DRAFT]


def test_a_group_that_started_again_needs_the_best_checkpoints_of_both_starts(
    study: SearchStudy,
) -> None:
    files = [earlier(1), earlier(2), earlier(3), checkpoint(1), checkpoint(2)]
    partly = study.group(add_group(study, (0.2, 0.9), (0.1, 0.3, 0.8), running=[1]))
    assert needed_by_group(partly, files) == {earlier(2), earlier(3), checkpoint(2)}
    ended = study.group(add_group(study, (0.2, 0.9), (0.1, 0.8, 0.2)))
    assert unneeded_files(ended, files) == [earlier(1), earlier(3), checkpoint(1)]


def test_a_group_is_as_good_as_its_best_trial_and_can_be_spared_once_it_has_ended(
    study: SearchStudy,
) -> None:
    best = add_group(study, (0.1,), (0.2, 0.9))
    alone = add_trial(study, (0.5,))
    worst = add_group(study, (0.4,), (0.3, 0.35))
    running = add_group(study, (0.7,), (0.1, 0.2, 0.15), running=[1])
    files = {
        best: [checkpoint(1), checkpoint(2), grid(1), grid(2)],
        alone: [checkpoint(1), grid(1)],
        worst: [checkpoint(1), checkpoint(2), grid(1)],
        running: [checkpoint(1), checkpoint(2), checkpoint(3), grid(1)],
    }
    assert list(least_useful_first(study, files)) == [
        (worst, grid(1)),
        (alone, grid(1)),
        (best, grid(1)),
        (running, grid(1)),
        (worst, checkpoint(1)),
        (worst, checkpoint(2)),
        (alone, checkpoint(1)),
        (best, checkpoint(1)),
    ]
