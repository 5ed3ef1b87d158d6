"""Checkpoints of a trial: everything that an exact resume needs, in one file each."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from adaptune.errors import CheckpointError
from adaptune.training.checkpoint_format import (
    EARLIER_FILE,
    EPOCH_FILE,
    MID_EPOCH_FILE,
    Contents,
    Snapshot,
    contents_of_trial,
    decode,
    earlier_file,
    earlier_starts,
    encode,
    epoch_file,
    sizes_by_epoch,
)
from adaptune.training.distributed import gather_on_rank_0, rank
from adaptune.training.file_store import FileStore
from adaptune.training.restore import RestoredGroup, Unrestored, restore

log = logging.getLogger(__name__)
_GRID_FILE = re.compile(r"epoch-(\d+)\.png")


@dataclass(frozen=True)
class TrialFile:
    """A file of a `CheckpointFolder`.

    Attributes:
        name: name in the folder.
        kind: kind of file; a draft is what a killed process left of one.
        epoch: number of the epoch; 0 for `mid-epoch` and `draft`.
        size_bytes: size in bytes.
        is_earlier: whether training has started again since, for trials that have not ended.
    """

    name: str
    kind: Literal["checkpoint", "mid-epoch", "sample grid", "draft"]
    epoch: int
    size_bytes: int
    is_earlier: bool = False


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints and sample grids of a trial, or of the group that trains it.

    - `epoch-NNNN.pt`: checkpoint after an epoch; the newest `keep` and those of the best epochs.
    - `epoch-NNNN.earlier-N.pt`: the same, written before training started again for the Nth time.
    - `mid-epoch.pt`: checkpoint within the epoch that an interruption broke off.
    - `epoch-NNNN.png`: sample grid of each epoch.

    Attributes:
        path: a local path, or a URI that `pyarrow.fs` supports.
        keep: number of newest checkpoints that are kept.
        identity: identity of the trial, see `trial_identity`. Checkpoints without this trial are
            not used.
        earlier_identities: other identities that `load` accepts: those of the same trial with the
            f_S of an earlier session.
    """

    path: str
    keep: int = 2
    identity: str = ""
    earlier_identities: tuple[str, ...] = ()

    def save(self, trials: Sequence[Snapshot], kept_epochs: Collection[int] = ()) -> None:
        """Write the checkpoint of an epoch, and delete those that are no longer needed.

        All workers call this, and rank 0 writes. If writing fails, for example because the disk is
        full, this is logged and the older checkpoints stay.

        Args:
            trials: the trials of the group after the epoch.
            kept_epochs: epochs that must keep their checkpoints for trials that have ended.
        """
        record = trials[0].resume_point.record
        if record is None:
            raise ValueError("a checkpoint of an epoch needs the record of the epoch")
        if self._save(epoch_file(record.epoch), trials, kept_epochs):
            best = {trial.state.best_epoch for trial in trials}
            self._prune(newest=record.epoch, needed=best.union(kept_epochs))

    def save_mid_epoch(self, trials: Sequence[Snapshot], kept_epochs: Collection[int] = ()) -> None:
        """Write a checkpoint within an epoch; otherwise like `save`."""
        self._save(MID_EPOCH_FILE, trials, kept_epochs)

    def save_sample_grid(self, epoch: int, png: bytes) -> None:
        """Write the sample grid of an epoch; a failure is logged."""
        try:
            self._files.write(_grid_file(epoch), png)
        except OSError as error:
            log.warning(
                "sample grid of epoch %s not written to %s: %s", epoch, self._files.address, error
            )

    def sample_grid(self, epoch: int) -> bytes | None:
        """Return the sample grid of an epoch as PNG, or None if it cannot be read."""
        try:
            return self._files.read_once(_grid_file(epoch))
        except OSError as error:
            log.warning(
                "sample grid of epoch %s in %s not read: %s", epoch, self._files.address, error
            )
            return None

    def restore(self, trials: Sequence[Unrestored]) -> RestoredGroup:
        """Bring trials to the newest checkpoint that can be used, and remove leftover drafts.

        All workers call this, and rank 0 chooses the checkpoint. Checkpoints that are damaged, have
        another format or lack one of the trials are passed over. Without any other, the trials stay
        as they are.

        Raises:
            CheckpointError: a checkpoint cannot be loaded, or access is denied.
            WorkersLostError: the store does not answer, or the workers disagree; other workers may
                succeed.
        """
        return restore(trials, self._files)

    def load(self, epoch: int) -> Contents:
        """Return the contents of an epoch's checkpoint, with tensors on the CPU.

        If training started again since, the first one that has the trial is the one whose record
        the trial keeps.

        Raises:
            CheckpointError: the checkpoint is missing or damaged, has another format, or belongs to
                another trial.
        """
        try:
            starts = earlier_starts(self._files.sizes(), epoch)
        except OSError as error:
            raise CheckpointError(f"cannot list {self._files.address}: {error}") from error
        for start in starts:
            with suppress(CheckpointError):
                return self._load(earlier_file(epoch, start))
        return self._load(epoch_file(epoch))

    def _load(self, name: str) -> Contents:
        full_name = self._files.full_name(name)
        try:
            raw = self._files.read(name)
        except OSError as error:
            raise CheckpointError(f"cannot read checkpoint {full_name}: {error}") from error
        identities = (self.identity, *self.earlier_identities)
        return contents_of_trial(decode(raw, full_name), identities, full_name)

    def epochs(self) -> list[int]:
        """Return the epochs that have a checkpoint, in ascending order."""
        return sorted(sizes_by_epoch(self._files.sizes()))

    def files(self) -> list[TrialFile]:
        """Return the checkpoints, sample grids and drafts in the folder.

        Raises:
            OSError: the store does not answer; there are no retries, so that the caller need not
                wait.
        """
        files = []
        for name, size in self._files.sizes_once().items():
            if match := EPOCH_FILE.fullmatch(name):
                files.append(TrialFile(name, "checkpoint", int(match[1]), size))
            elif match := EARLIER_FILE.fullmatch(name):
                epoch = int(match[1])
                files.append(TrialFile(name, "checkpoint", epoch, size, is_earlier=True))
            elif match := _GRID_FILE.fullmatch(name):
                files.append(TrialFile(name, "sample grid", int(match[1]), size))
            elif name == MID_EPOCH_FILE:
                files.append(TrialFile(name, "mid-epoch", 0, size))
            elif name.endswith(".part"):
                files.append(TrialFile(name, "draft", 0, size))
        return files

    def remove(self, name: str) -> None:
        """Delete a file of the folder if it exists, without retries.

        Raises:
            OSError: the store does not answer.
        """
        self._files.delete(name)

    @property
    def _files(self) -> FileStore:
        return FileStore(self.path)

    def _save(self, name: str, trials: Sequence[Snapshot], kept_epochs: Collection[int]) -> bool:
        """Return whether this worker wrote the checkpoint."""
        pools = gather_on_rank_0(trials[0].state.pools_state())
        if rank() != 0:
            return False
        parts = encode(trials, pools, kept_epochs)
        try:
            self._files.write(name, *parts)
        except OSError as error:
            log.warning("checkpoint %s not written to %s: %s", name, self._files.address, error)
            return False
        return True

    def _prune(self, newest: int, needed: Collection[int]) -> None:
        """Delete what is no longer needed; what cannot be deleted now is deleted another time.

        Checkpoints of epochs that the trial has not reached cannot be used: they are damaged, or
        another trial's.

        Args:
            newest: the epoch that was saved last.
            needed: epochs whose checkpoints are needed in any case.
        """
        try:
            sizes = self._files.sizes_once()
            if MID_EPOCH_FILE in sizes:
                self._files.delete(MID_EPOCH_FILE)
            epochs = sorted(sizes_by_epoch(sizes))
            reached = [epoch for epoch in epochs if epoch <= newest]
            kept = {*reached[-self.keep :], *needed}
            for epoch in epochs:
                if epoch not in kept:
                    self.remove(epoch_file(epoch))
        except OSError as error:
            log.warning("old checkpoints in %s not removed: %s", self._files.address, error)


def _grid_file(epoch: int) -> str:
    return f"epoch-{epoch:04d}.png"
