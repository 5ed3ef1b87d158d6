"""Checkpoints of a trial: everything that an exact resume needs, in one file each."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Literal

from adaptune.errors import CheckpointError
from adaptune.training.checkpoint_format import (
    EPOCH_FILE,
    MID_EPOCH_FILE,
    Contents,
    ResumePoint,
    check_identity,
    decode,
    encode,
    epoch_file,
    sizes_by_epoch,
)
from adaptune.training.distributed import gather_on_rank_0, rank
from adaptune.training.file_store import FileStore
from adaptune.training.record import EpochRecord
from adaptune.training.restore import restore
from adaptune.training.state import TrainingState

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
    """

    name: str
    kind: Literal["checkpoint", "mid-epoch", "sample grid", "draft"]
    epoch: int
    size_bytes: int


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints and sample grids of one trial.

    - `epoch-NNNN.pt`: checkpoint after an epoch; the newest `keep` and that of the best epoch.
    - `mid-epoch.pt`: checkpoint within the epoch that an interruption broke off.
    - `epoch-NNNN.png`: sample grid of each epoch.

    Attributes:
        path: a local path, or a URI that `pyarrow.fs` supports.
        keep: number of newest checkpoints that are kept.
        identity: identity of the trial, see `trial_identity`. Checkpoints of another trial in the
            folder are not used.
        earlier_identities: other identities that `load` accepts: those of the same trial with the
            f_S of an earlier session.
    """

    path: str
    keep: int = 2
    identity: str = ""
    earlier_identities: tuple[str, ...] = ()

    def save(self, state: TrainingState, record: EpochRecord) -> None:
        """Write the checkpoint of an epoch, and delete those that are no longer needed.

        All workers call this, and rank 0 writes. If writing fails, for example because the disk is
        full, this is logged and the older checkpoints stay.
        """
        if self._save(epoch_file(record.epoch), state, ResumePoint(record)):
            self._prune(newest=record.epoch, best=state.best_epoch)

    def save_mid_epoch(self, state: TrainingState, resume_point: ResumePoint) -> None:
        """Write a checkpoint within an epoch; otherwise like `save`."""
        self._save(MID_EPOCH_FILE, state, resume_point)

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

    def restore(self, state: TrainingState) -> ResumePoint:
        """Bring `state` to the newest checkpoint that can be used, and remove leftover drafts.

        All workers call this, and rank 0 chooses the checkpoint. Checkpoints that are damaged or
        have another format or identity are passed over. Without any other, `state` stays as it is.

        Raises:
            CheckpointError: a checkpoint cannot be loaded into `state`, or access is denied.
            WorkersLostError: the store does not answer, or the workers disagree; other workers may
                succeed.
        """
        return restore(state, self._files, self.identity)

    def load(self, epoch: int) -> Contents:
        """Return the contents of an epoch's checkpoint, with tensors on the CPU.

        Raises:
            CheckpointError: the checkpoint is missing or damaged, has another format, or belongs to
                another trial.
        """
        name = epoch_file(epoch)
        full_name = self._files.full_name(name)
        try:
            raw = self._files.read(name)
        except OSError as error:
            raise CheckpointError(f"cannot read checkpoint {full_name}: {error}") from error
        contents = decode(raw, full_name)
        check_identity(contents, (self.identity, *self.earlier_identities), full_name)
        return contents

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

    def _save(self, name: str, state: TrainingState, resume_point: ResumePoint) -> bool:
        """Return whether this worker wrote the checkpoint."""
        pools = gather_on_rank_0(state.pools_state())
        if rank() != 0:
            return False
        parts = encode(state, pools, resume_point, self.identity)
        try:
            self._files.write(name, *parts)
        except OSError as error:
            log.warning("checkpoint %s not written to %s: %s", name, self._files.address, error)
            return False
        return True

    def _prune(self, newest: int, best: int) -> None:
        """Delete what is no longer needed; what cannot be deleted now is deleted another time.

        Checkpoints of epochs that the trial has not reached cannot be used: they are damaged, or
        another trial's.

        Args:
            newest: the epoch that was saved last.
            best: the best epoch.
        """
        try:
            sizes = self._files.sizes_once()
            if MID_EPOCH_FILE in sizes:
                self._files.delete(MID_EPOCH_FILE)
            epochs = sorted(sizes_by_epoch(sizes))
            reached = [epoch for epoch in epochs if epoch <= newest]
            needed = {*reached[-self.keep :], best}
            for epoch in epochs:
                if epoch not in needed:
                    self.remove(epoch_file(epoch))
        except OSError as error:
            log.warning("old checkpoints in %s not removed: %s", self._files.address, error)


def _grid_file(epoch: int) -> str:
    return f"epoch-{epoch:04d}.png"
