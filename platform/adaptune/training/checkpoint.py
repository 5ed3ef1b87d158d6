"""Checkpoints of a trial: everything that an exact resume needs, in one file each."""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from pyarrow import fs

from adaptune.errors import CheckpointError
from adaptune.training.distributed import rank, world_size
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState

log = logging.getLogger(__name__)
FORMAT = 2
_DIGEST_BYTES = 32
RETRY_TIMEOUT_S = 300.0  # with a remote store
T = TypeVar("T")
_MID_EPOCH = "mid-epoch.pt"


@dataclass(frozen=True)
class ResumePoint:
    """Where a trial goes on: after its last whole epoch, or within the one that follows."""

    record: EpochRecord | None = None  # of the last whole epoch
    means: Mapping[str, float] = field(default_factory=dict)  # each term's, over the updates since
    updates: int = 0


@dataclass(frozen=True)
class CheckpointFolder:
    """`epoch-NNNN.pt` files: the newest `keep`, and the one of the best epoch; a file for a broken-off epoch.

    Each begins with the SHA-256 of the rest, so that a torn file is never taken for a whole one.
    """

    path: str  # local, or a URI that pyarrow.fs knows
    keep: int = 2

    def save(self, state: TrainingState, record: EpochRecord) -> None:
        """Write a checkpoint; called by all workers, written by rank 0.

        A failing write (a full disk) is logged and leaves the older ones: training goes on.
        """
        if self._save(_name(record.epoch), state, ResumePoint(record)):
            self._prune(best=state.best_epoch)

    def save_mid_epoch(self, state: TrainingState, where: ResumePoint) -> None:
        """As `save`, in the middle of an epoch."""
        self._save(_MID_EPOCH, state, where)

    def _save(self, name: str, state: TrainingState, where: ResumePoint) -> bool:
        """Whether it was written, and by this worker."""
        pools = _gather(state.pools_state())
        if rank() != 0:
            return False
        buffer = io.BytesIO()
        torch.save(
            {
                "format": FORMAT,
                "state": state.state_dict(),
                "pools": pools,
                "record": None if where.record is None else where.record.to_dict(),
                "means": dict(where.means),
                "updates": where.updates,
            },
            buffer,
        )
        try:
            body = buffer.getvalue()
            self._write(name, hashlib.sha256(body).digest() + body)
        except OSError as error:
            log.warning("checkpoint %s not written to %s: %s", name, self.path, error)
            return False
        return True

    def save_sample_grid(self, epoch: int, png: bytes) -> None:
        """Keep a picture of the generators' work beside the checkpoints; of every epoch."""
        try:
            self._write(f"epoch-{epoch:04d}.png", png)
        except OSError as error:
            log.warning("sample grid of epoch %s not written to %s: %s", epoch, self.path, error)

    def sample_grid(self, epoch: int) -> bytes | None:
        """The picture of an epoch, as PNG; None where there is none that can be read."""
        filesystem, folder = self._open()
        try:
            with filesystem.open_input_stream(f"{folder}/epoch-{epoch:04d}.png") as file:
                found: bytes = file.read()
        except OSError as error:
            log.warning("sample grid of epoch %s in %s not read: %s", epoch, self.path, error)
            return None
        return found

    def restore(self, state: TrainingState) -> ResumePoint:
        """Bring `state` to the newest checkpoint that can be read; with none at all it is left as it is.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        names = self._newest_first()
        for name in names:
            try:
                saved = self._load(name)
            except CheckpointError as error:
                log.warning("%s; trying the one before", error)
                continue
            state.load_state_dict(saved["state"])
            pools = saved["pools"]
            # A pool belongs to a worker: with another number of them, the pools fill anew.
            if len(pools) == world_size():
                state.load_pools_state(pools[rank()])
            record = saved["record"]
            return ResumePoint(
                record=None if record is None else EpochRecord.from_dict(record),
                means=saved["means"],
                updates=saved["updates"],
            )
        if names:
            raise CheckpointError(
                f"none of the {len(names)} checkpoints in {self.path} can be read"
            )
        return ResumePoint()

    def load(self, epoch: int) -> dict[str, Any]:
        """The contents of one epoch's checkpoint, on the CPU.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        return self._load(_name(epoch))

    def _load(self, base_name: str) -> dict[str, Any]:
        filesystem, folder = self._open()
        name = f"{folder}/{base_name}"

        def read() -> bytes:
            with filesystem.open_input_stream(name) as file:
                found: bytes = file.read()
            return found

        try:
            raw = self._retry(read)
        except OSError as error:
            raise CheckpointError(f"cannot read checkpoint {name}: {error}") from error
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            raise CheckpointError(f"checkpoint {name} is damaged")
        saved: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        if saved.get("format") != FORMAT:
            raise CheckpointError(
                f"checkpoint {name} has format {saved.get('format', 1)};"
                f" this version of adaptune reads format {FORMAT}"
            )
        return saved

    def epochs(self) -> list[int]:
        """The epochs that have a checkpoint, in order."""
        return sorted(int(name[6:-3]) for name in self._names() if name.startswith("epoch-"))

    def sizes(self) -> dict[int, int]:
        """Epoch → bytes of its checkpoint.

        Raises:
            OSError: the store does not answer; whoever asks is not made to wait until it does.
        """
        filesystem, folder = self._open()
        files = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        ours = [
            file
            for file in files
            if file.base_name.startswith("epoch-") and file.base_name.endswith(".pt")
        ]
        return {
            int(file.base_name[6:-3]): file.size
            for file in sorted(ours, key=lambda file: file.base_name)
        }

    def remove(self, epoch: int) -> None:
        """Remove an epoch's checkpoint; it may be gone already."""
        filesystem, folder = self._open()
        with suppress(FileNotFoundError):
            filesystem.delete_file(f"{folder}/{_name(epoch)}")

    def _newest_first(self) -> list[str]:
        """A broken-off epoch comes after all others: its file goes once it is whole."""
        epochs = [_name(epoch) for epoch in reversed(self.epochs())]
        return [_MID_EPOCH, *epochs] if _MID_EPOCH in self._names() else epochs

    def _names(self) -> list[str]:
        filesystem, folder = self._open()
        files = self._retry(
            lambda: filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        )
        return [file.base_name for file in files if file.base_name.endswith(".pt")]

    def _write(self, name: str, body: bytes) -> None:
        filesystem, folder = self._open()
        filesystem.create_dir(folder)
        final, draft = f"{folder}/{name}", f"{folder}/{name}.part"
        try:
            with filesystem.open_output_stream(draft) as file:
                file.write(body)
            filesystem.move(draft, final)
        except OSError:
            if filesystem.get_file_info(draft).type != fs.FileType.NotFound:
                filesystem.delete_file(draft)
            raise

    def _prune(self, best: int) -> None:
        """Remove what is no longer needed; what cannot be removed now goes another time."""
        filesystem, folder = self._open()
        try:
            epochs = self.epochs()
            old = [_name(epoch) for epoch in epochs[: -self.keep] if epoch != best]
            for name in {_MID_EPOCH, *old} & set(self._names()):
                filesystem.delete_file(f"{folder}/{name}")
        except OSError as error:
            log.warning("old checkpoints in %s not removed: %s", self.path, error)

    def _retry(self, read: Callable[[], T]) -> T:
        """What `read` gives. A remote store that fails is asked again for a while: a trial hangs on the answer."""
        deadline = time.monotonic() + (RETRY_TIMEOUT_S if "://" in self.path else 0.0)
        pause_s = 1.0
        while True:
            try:
                return read()
            except FileNotFoundError:
                raise
            except OSError as error:
                if time.monotonic() + pause_s > deadline:
                    raise
                log.warning(
                    "%s does not answer (%s); asking again in %.0f s", self.path, error, pause_s
                )
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 30.0)

    def _open(self) -> tuple[fs.FileSystem, str]:
        filesystem, folder = fs.FileSystem.from_uri(self.path)
        return filesystem, folder


def eval_weights(checkpoint: Mapping[str, Any], network: str) -> dict[str, torch.Tensor]:
    """A network's weights for use: its moving average where there is one. The twin of `TrainingState.eval_network`."""
    state = checkpoint["state"]
    weights: dict[str, torch.Tensor] = state["averages"].get(network, state["networks"][network])
    return weights


def _name(epoch: int) -> str:
    return f"epoch-{epoch:04d}.pt"


def _gather(own: object) -> list[Any]:
    """Every worker's object, by rank; the list is empty on all but rank 0."""
    if world_size() == 1:
        return [own]
    gathered: list[Any] | None = [None] * world_size() if rank() == 0 else None
    dist.gather_object(own, gathered)
    return gathered or []
