"""Restoring of a trial from a checkpoint, the same one on all of its workers.

Rank 0 chooses the checkpoint. The others may not see the same files: a network file system may show
them an older state of the folder, or the folder may not be mounted on their node.
"""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from adaptune.errors import AdaptuneError, CheckpointError, WorkersLostError
from adaptune.training.checkpoint_format import (
    Contents,
    ResumePoint,
    contents_of_trial,
    decode,
    earlier_file,
    earlier_starts,
    ended_epochs,
    epoch_file,
    load_resume_point,
    newest_first,
    sizes_by_epoch,
    stored_digest,
)
from adaptune.training.distributed import (
    all_gather_objects,
    broadcast_from_rank_0,
    rank,
    world_size,
)
from adaptune.training.file_store import FileStore, is_denied
from adaptune.training.state import TrainingState

log = logging.getLogger(__name__)
CHOICE_TIMEOUT_S = 120.0  # by default, NFS shows a file after a minute at the latest
_PAUSE_S = 1.0
_MAX_ERROR_LENGTH = 300


@dataclass(frozen=True)
class Unrestored:
    """A trial to restore: its identity, and its state before the first update."""

    identity: str
    state: TrainingState


@dataclass(frozen=True)
class RestoredGroup:
    """Points at which the trials of a group resume.

    Attributes:
        resume_points: resume point of each trial, in the order of the trials.
        kept_epochs: best epochs of the trials of the group that have ended.
    """

    resume_points: Sequence[ResumePoint]
    kept_epochs: Collection[int] = ()


@dataclass(frozen=True)
class _Choice:
    """The checkpoint that rank 0 chose.

    Attributes:
        name: name of the file; None without any checkpoint.
        digest: digest of the file.
        error: the reason why rank 0 could not choose, if any.
    """

    name: str | None = None
    digest: str = ""
    error: AdaptuneError | None = None


@dataclass(frozen=True)
class _Outcome:
    """The number of updates of the state that a worker restored, or its error."""

    step: int
    error: AdaptuneError | None


def restore(trials: Sequence[Unrestored], files: FileStore) -> RestoredGroup:
    """Bring trials to the newest checkpoint that can be used; see `CheckpointFolder.restore`.

    All workers raise the same error, if there is one.

    Args:
        trials: the trials of a group.
        files: folder of the checkpoints.
    """
    identities = [trial.identity for trial in trials]
    choice = _Choice()
    contents: Contents = {}
    if rank() == 0:
        choice, contents = _choose(files, identities)
    choice = broadcast_from_rank_0(choice)
    if choice.error is not None:
        raise choice.error
    if choice.name is None:
        return RestoredGroup([ResumePoint() for _ in trials])
    error: AdaptuneError | None = None
    resume_points: list[ResumePoint] = []
    kept_epochs: Collection[int] = ()
    try:
        if rank() != 0:
            contents = _read_choice(files, choice.name, choice.digest)
        full_name = files.full_name(choice.name)
        for trial in trials:
            of_trial = contents_of_trial(contents, (trial.identity,), full_name)
            resume_points.append(_load(trial.state, of_trial, full_name))
        kept_epochs = ended_epochs(contents, identities)
    except (CheckpointError, WorkersLostError) as caught:
        error = caught
    _check_agreement(_Outcome(trials[0].state.step, error), choice.name)
    return RestoredGroup(resume_points, kept_epochs)


def _choose(files: FileStore, identities: Sequence[str]) -> tuple[_Choice, Contents]:
    """Return the newest checkpoint that can be used, and its contents.

    Without any, the checkpoints of other trials are renamed before training starts again.
    """
    try:
        sizes = files.sizes()
    except OSError as error:
        return _Choice(error=_store_error(files, error)), {}
    files.remove_drafts(sizes)
    names = newest_first(sizes)
    of_others: list[str] = []
    for name in names:
        full_name = files.full_name(name)
        try:
            raw = files.read(name)
            contents = decode(raw, full_name)
            of_others.append(name)
            for identity in identities:
                contents_of_trial(contents, (identity,), full_name)
        except CheckpointError as error:
            log.warning("%s; trying the one before", error)
            continue
        except OSError as error:
            is_gone = isinstance(error, FileNotFoundError)
            if is_denied(error) or (files.is_remote and not is_gone):
                return _Choice(error=_store_error(files, error)), {}
            log.warning("cannot read checkpoint %s: %s; trying the one before", full_name, error)
            continue
        return _Choice(name, stored_digest(raw)), contents
    if names:
        log.warning(
            "none of the %s checkpoints in %s can be used: training starts again",
            len(names),
            files.address,
        )
    try:
        _set_aside(files, sizes, of_others)
    except OSError as error:
        return _Choice(error=_store_error(files, error)), {}
    return _Choice(), {}


def _set_aside(files: FileStore, sizes: Mapping[str, int], names: Collection[str]) -> None:
    """Rename checkpoints, so that those of the next start replace none of them.

    They are checkpoints with another f_S, and the best ones of the trials of the group that have
    ended are among them. The search deletes those that no trial needs.

    Args:
        sizes: sizes of all files by name.
        names: names of the checkpoints.
    """
    start = 1 + max(earlier_starts(sizes), default=0)
    for epoch in sizes_by_epoch(sizes):
        if epoch_file(epoch) in names:
            files.rename(epoch_file(epoch), earlier_file(epoch, start))


def _store_error(files: FileStore, error: OSError) -> AdaptuneError:
    if is_denied(error):
        return CheckpointError(
            f"cannot read the checkpoints in {files.address}: {error};"
            " allow reading and listing there"
        )
    return WorkersLostError(f"the checkpoints in {files.address} cannot be reached: {error}")


def _read_choice(files: FileStore, name: str, digest: str) -> Contents:
    """Return the contents of the checkpoint that rank 0 chose, once this worker sees it."""
    deadline = time.monotonic() + CHOICE_TIMEOUT_S
    full_name = files.full_name(name)
    while True:
        try:
            raw = files.read_once(name)
            if stored_digest(raw) == digest:
                return decode(raw, full_name)
            reason = "the file there is another one"
        except (OSError, CheckpointError) as error:
            reason = str(error)
        if time.monotonic() > deadline:
            raise WorkersLostError(
                f"worker {rank()} cannot read checkpoint {full_name}, which worker 0 resumes from:"
                f" {reason}; all nodes must see the same folder"
            )
        time.sleep(_PAUSE_S)


def _load(state: TrainingState, contents: Contents, name: str) -> ResumePoint:
    try:
        state.load_state_dict(contents["state"])
        pools = contents["pools"]
        # Each worker has its own pool. If their number has changed, the pools start empty.
        if len(pools) == world_size():
            state.load_pools_state(pools[rank()])
        return load_resume_point(contents)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        reason = textwrap.shorten(str(error), _MAX_ERROR_LENGTH)
        raise CheckpointError(
            f"checkpoint {name} does not fit this version of adaptune or torch: {reason}; resume"
            " with the versions that wrote it"
        ) from error


def _check_agreement(outcome: _Outcome, name: str) -> None:
    """Check that all workers restored the same state; all of them raise the same error."""
    outcomes = all_gather_objects(outcome)
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    # A checkpoint that cannot be loaded is final. New workers may see what these do not see.
    errors.sort(key=lambda error: not isinstance(error, CheckpointError))
    if errors:
        raise errors[0]
    steps = [outcome.step for outcome in outcomes]
    if len(set(steps)) > 1:
        raise WorkersLostError(
            f"the workers disagree after resuming from {name}: they are at the updates {steps}"
        )
