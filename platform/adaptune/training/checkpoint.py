"""Checkpoints of a trial: everything that an exact resume needs, in one file each."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Literal

from adaptune.errors import CheckpointError
from adaptune.training.checkpoint_format import (
    Contents,
    ResumePoint,
    decode,
    encode,
    load_resume_point,
)
from adaptune.training.distributed import gather_on_rank_0, rank, world_size
from adaptune.training.file_store import FileStore
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState

log = logging.getLogger(__name__)
_EPOCH_FILE = re.compile(r"epoch-(\d+)\.pt")
_GRID_FILE = re.compile(r"epoch-(\d+)\.png")
_MID_EPOCH_FILE = "mid-epoch.pt"


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
    """

    path: str
    keep: int = 2

    def save(self, state: TrainingState, record: EpochRecord) -> None:
        """Write the checkpoint of an epoch, and delete those that are no longer needed.

        All workers call this, and rank 0 writes. If writing fails, for example because the disk is
        full, this is logged and the older checkpoints stay.
        """
        if self._save(_epoch_file(record.epoch), state, ResumePoint(record)):
            self._prune(best=state.best_epoch)

    def save_mid_epoch(self, state: TrainingState, resume_point: ResumePoint) -> None:
        """Write a checkpoint within an epoch; otherwise like `save`."""
        self._save(_MID_EPOCH_FILE, state, resume_point)

    def save_sample_grid(self, epoch: int, png: bytes) -> None:
        """Write the sample grid of an epoch; a failure is logged."""
        try:
            self._files.write(_grid_file(epoch), png)
        except OSError as error:
            log.warning("sample grid of epoch %s not written to %s: %s", epoch, self.path, error)

    def sample_grid(self, epoch: int) -> bytes | None:
        """Return the sample grid of an epoch as PNG, or None if it cannot be read."""
        try:
            return self._files.read_once(_grid_file(epoch))
        except OSError as error:
            log.warning("sample grid of epoch %s in %s not read: %s", epoch, self.path, error)
            return None

    def restore(self, state: TrainingState) -> ResumePoint:
        """Bring `state` to the newest checkpoint that can be read.

        Without any checkpoint, `state` stays as it is.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        names = self._newest_first()
        for name in names:
            try:
                contents = self._load(name)
            except CheckpointError as error:
                log.warning("%s; trying the one before", error)
                continue
            state.load_state_dict(contents["state"])
            pools = contents["pools"]
            # Each worker has its own pool. If their number has changed, the pools start empty.
            if len(pools) == world_size():
                state.load_pools_state(pools[rank()])
            return load_resume_point(contents)
        if names:
            raise CheckpointError(
                f"none of the {len(names)} checkpoints in {self.path} can be read"
            )
        return ResumePoint()

    def load(self, epoch: int) -> Contents:
        """Return the contents of an epoch's checkpoint, with tensors on the CPU.

        Raises:
            CheckpointError: the checkpoint is missing or damaged, or has another format.
        """
        return self._load(_epoch_file(epoch))

    def epochs(self) -> list[int]:
        """Return the epochs that have a checkpoint, in ascending order."""
        return sorted(_by_epoch(self._files.sizes()))

    def files(self) -> list[TrialFile]:
        """Return the checkpoints, sample grids and drafts in the folder.

        Raises:
            OSError: the store does not answer; there are no retries, so that the caller need not
                wait.
        """
        files = []
        for name, size in self._files.sizes_once().items():
            if match := _EPOCH_FILE.fullmatch(name):
                files.append(TrialFile(name, "checkpoint", int(match[1]), size))
            elif match := _GRID_FILE.fullmatch(name):
                files.append(TrialFile(name, "sample grid", int(match[1]), size))
            elif name == _MID_EPOCH_FILE:
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
        body = encode(state, pools, resume_point)
        try:
            self._files.write(name, body)
        except OSError as error:
            log.warning("checkpoint %s not written to %s: %s", name, self.path, error)
            return False
        return True

    def _load(self, name: str) -> Contents:
        full_name = self._files.full_name(name)
        try:
            raw = self._files.read(name)
        except OSError as error:
            raise CheckpointError(f"cannot read checkpoint {full_name}: {error}") from error
        return decode(raw, full_name)

    def _newest_first(self) -> list[str]:
        sizes = self._files.sizes()
        epochs = sorted(_by_epoch(sizes), reverse=True)
        names = [_epoch_file(epoch) for epoch in epochs]
        # The mid-epoch file is deleted once its epoch is complete, so it is the newest.
        if _MID_EPOCH_FILE in sizes:
            names.insert(0, _MID_EPOCH_FILE)
        return names

    def _prune(self, best: int) -> None:
        """Delete what is no longer needed; what cannot be deleted now is deleted another time."""
        try:
            sizes = self._files.sizes()
            if _MID_EPOCH_FILE in sizes:
                self._files.delete(_MID_EPOCH_FILE)
            epochs = sorted(_by_epoch(sizes))
            for epoch in epochs[: -self.keep]:
                if epoch != best:
                    self.remove(_epoch_file(epoch))
        except OSError as error:
            log.warning("old checkpoints in %s not removed: %s", self.path, error)


def _by_epoch(sizes: dict[str, int]) -> dict[int, int]:
    """Return the sizes of the epochs' checkpoints, given the sizes of all files by name."""
    by_epoch = {}
    for name, size in sizes.items():
        match = _EPOCH_FILE.fullmatch(name)
        if match:
            by_epoch[int(match[1])] = size
    return by_epoch


def _epoch_file(epoch: int) -> str:
    return f"epoch-{epoch:04d}.pt"


def _grid_file(epoch: int) -> str:
    return f"epoch-{epoch:04d}.png"
