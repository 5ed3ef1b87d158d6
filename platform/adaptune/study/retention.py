"""The files of trials that nothing needs, and the order in which the others can be spared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter

from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial
from adaptune.training.checkpoint import TrialFile

FilesByTrial = Mapping[int, Sequence[TrialFile]]


def needed_checkpoints(trial: StudyTrial, files: Sequence[TrialFile]) -> set[TrialFile]:
    """Return the checkpoints that the export of a trial and its resume need.

    An export needs that of the best epoch. If it could not be written, the best of the others takes
    its place. A trial that has not ended also needs its newest checkpoint.
    """
    by_epoch = {file.epoch: file for file in files if file.kind == "checkpoint"}
    needed = set()
    best = trial.best_of([epoch for epoch in trial.epochs if epoch.number in by_epoch])
    if best is not None:
        needed.add(by_epoch[best.number])
    if not trial.state.is_finished():
        needed |= {file for file in files if file.kind == "mid-epoch"}
        if by_epoch:
            needed.add(by_epoch[max(by_epoch)])
    return needed


def unneeded_files(trial: StudyTrial, files: Sequence[TrialFile]) -> list[TrialFile]:
    """Return what an ended trial leaves except for its best checkpoint and its sample grids."""
    needed = needed_checkpoints(trial, files)
    return [file for file in files if file.kind != "sample grid" and file not in needed]


def least_useful_first(
    study: SearchStudy, files_by_trial: FilesByTrial
) -> Iterator[tuple[int, TrialFile]]:
    """Yield the files that can be deleted to make room, with the number of their trial.

    The order is:

    1. checkpoints that no trial needs;
    2. sample grids, worst trial first, and the oldest ones of each trial first;
    3. the last checkpoints of ended trials, worst trial first.

    The last checkpoint of the best trial and the sample grid of the same epoch are not among them.
    """
    trials = {number: study.trial(number) for number in files_by_trial}
    for number, trial in trials.items():
        needed = needed_checkpoints(trial, files_by_trial[number])
        for file in files_by_trial[number]:
            if file.kind == "checkpoint" and file not in needed:
                yield number, file
    kept = _files_of_export(study, files_by_trial)
    worst_first = _worst_first(study, trials)
    for number in worst_first:
        for file in sorted(files_by_trial[number], key=attrgetter("epoch")):
            if file.kind == "sample grid" and (number, file.epoch) != kept:
                yield number, file
    for number in worst_first:
        for file in files_by_trial[number]:
            is_last = file.kind == "checkpoint" and trials[number].state.is_finished()
            if is_last and (number, file.epoch) != kept:
                yield number, file


def _files_of_export(study: SearchStudy, files_by_trial: FilesByTrial) -> tuple[int, int] | None:
    """Return the trial and the epoch that would be exported if the search ended now."""
    for trial in study.ranked_trials():
        for file in needed_checkpoints(trial, files_by_trial.get(trial.number, ())):
            return trial.number, file.epoch
    return None


def _worst_first(study: SearchStudy, trials: Mapping[int, StudyTrial]) -> list[int]:
    """Return the numbers of these trials: failed ones, then ranked ones, then running ones."""
    ranked = [trial.number for trial in study.ranked_trials() if trial.number in trials]
    running = [number for number, trial in trials.items() if not trial.state.is_finished()]
    failed = [number for number in trials if number not in {*ranked, *running}]
    return [*failed, *reversed(ranked), *running]
