"""The files of trials that nothing needs, and the order in which the others can be spared.

The trials of a group share a folder; a trial that shares its GAN with no other is a group of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter

from adaptune.study.study import SearchStudy
from adaptune.study.trial import StudyTrial
from adaptune.training.checkpoint import TrialFile

FilesByGroup = Mapping[int, Sequence[TrialFile]]  # by the leader's number


def needed_checkpoints(trial: StudyTrial, files: Sequence[TrialFile]) -> set[TrialFile]:
    """Return the checkpoints that the export of a trial and its resume need.

    An export needs that of the best epoch; there are several if the training of the group started
    again. If it could not be written, the best of the others takes its place. A trial that has not
    ended also needs its newest checkpoint.
    """
    checkpoints = [file for file in files if file.kind == "checkpoint"]
    saved_epochs = {file.epoch for file in checkpoints}
    best = trial.best_of([epoch for epoch in trial.epochs if epoch.number in saved_epochs])
    needed = set()
    if best is not None:
        needed |= {file for file in checkpoints if file.epoch == best.number}
    if not trial.state.is_finished():
        needed |= {file for file in files if file.kind == "mid-epoch"}
        resumable = [file for file in checkpoints if not file.is_earlier]
        if resumable:
            needed.add(max(resumable, key=attrgetter("epoch")))
    return needed


def needed_by_group(group: Sequence[StudyTrial], files: Sequence[TrialFile]) -> set[TrialFile]:
    """Return the checkpoints that the trials of a group need, see `needed_checkpoints`."""
    needed: set[TrialFile] = set()
    for trial in group:
        needed |= needed_checkpoints(trial, files)
    return needed


def unneeded_files(group: Sequence[StudyTrial], files: Sequence[TrialFile]) -> list[TrialFile]:
    """Return what an ended group leaves except for its best checkpoints and its sample grids.

    Each trial of the group has a best checkpoint. As long as one of them runs, nothing is unneeded:
    its workers delete old checkpoints themselves.
    """
    if not has_ended(group):
        return []
    needed = needed_by_group(group, files)
    return [file for file in files if file.kind != "sample grid" and file not in needed]


def has_ended(group: Sequence[StudyTrial]) -> bool:
    """Return whether all trials of a group have ended."""
    return all(trial.state.is_finished() for trial in group)


def least_useful_first(
    study: SearchStudy, files_by_group: FilesByGroup
) -> Iterator[tuple[int, TrialFile]]:
    """Yield the files that can be deleted to make room, with the number of their group's leader.

    A group is as good as its best trial. The order is:

    1. checkpoints that no trial needs;
    2. sample grids, worst group first, and the oldest ones of each group first;
    3. the last checkpoints of ended groups, worst group first.

    The last checkpoint of the best trial and the sample grid of the same epoch are not among them.
    """
    groups = {leader: study.group(leader) for leader in files_by_group}
    for leader, group in groups.items():
        needed = needed_by_group(group, files_by_group[leader])
        for file in files_by_group[leader]:
            if file.kind == "checkpoint" and file not in needed:
                yield leader, file
    kept = _files_of_export(study, files_by_group)
    worst_first = _worst_first(study, groups)
    for leader in worst_first:
        for file in sorted(files_by_group[leader], key=attrgetter("epoch")):
            if file.kind == "sample grid" and (leader, file.epoch) != kept:
                yield leader, file
    for leader in worst_first:
        for file in files_by_group[leader]:
            is_last = file.kind == "checkpoint" and has_ended(groups[leader])
            if is_last and (leader, file.epoch) != kept:
                yield leader, file


def _files_of_export(study: SearchStudy, files_by_group: FilesByGroup) -> tuple[int, int] | None:
    """Return the group and the epoch that would be exported if the search ended now."""
    for trial in study.ranked_trials():
        for file in needed_checkpoints(trial, files_by_group.get(trial.leader, ())):
            return trial.leader, file.epoch
    return None


def _worst_first(study: SearchStudy, groups: Mapping[int, Sequence[StudyTrial]]) -> list[int]:
    """Return the leaders of these groups: failed ones, then ranked ones, then running ones."""
    running = [leader for leader, group in groups.items() if not has_ended(group)]
    best_first = dict.fromkeys(trial.leader for trial in study.ranked_trials())
    ranked = [leader for leader in best_first if leader in groups and leader not in running]
    failed = [leader for leader in groups if leader not in {*ranked, *running}]
    return [*failed, *reversed(ranked), *running]
