"""Checkpoints of a trial: everything that an exact resume needs, in one file each."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from pyarrow import fs

from adaptune.errors import CheckpointError
from adaptune.training.distributed import rank, world_size
from adaptune.training.state import TrainingState

log = logging.getLogger(__name__)
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class CheckpointFolder:
    """`epoch-NNNN.pt` files: the newest `keep`, and the one of the best epoch.

    Each begins with the SHA-256 of the rest, so that a torn file is never taken for a whole one.
    """

    path: str  # local, or a URI that pyarrow.fs knows
    keep: int = 2

    def save(self, state: TrainingState, record: dict[str, Any]) -> None:
        """Write a checkpoint; called by all workers, written by rank 0.

        A failing write (a full disk) is logged and leaves the older ones: training goes on.
        """
        pools = _gather(state.pools_state())
        if rank() != 0:
            return
        buffer = io.BytesIO()
        torch.save({"state": state.state_dict(), "pools": pools, "record": record}, buffer)
        try:
            body = buffer.getvalue()
            self._write(_name(record["epoch"]), hashlib.sha256(body).digest() + body)
            self._prune(best=state.best_epoch)
        except OSError as error:
            log.warning("checkpoint of epoch %s not written to %s: %s", record["epoch"], self.path, error)

    def save_picture(self, epoch: int, png: bytes) -> None:
        """Keep a picture of the generators' work beside the checkpoints; of every epoch."""
        try:
            self._write(f"epoch-{epoch:04d}.png", png)
        except OSError as error:
            log.warning("picture of epoch %s not written to %s: %s", epoch, self.path, error)

    def restore(self, state: TrainingState) -> dict[str, Any] | None:
        """Bring `state` to the newest whole checkpoint; returns its record, or None where there is none.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        epochs = self.epochs()
        for epoch in reversed(epochs):
            try:
                saved = self.load(epoch)
            except CheckpointError as error:
                log.warning("%s; trying the one before", error)
                continue
            state.load_state_dict(saved["state"])
            pools = saved["pools"]
            # A pool belongs to a worker: with another number of them, the pools fill anew.
            if len(pools) == world_size():
                state.load_pools_state(pools[rank()])
            record: dict[str, Any] = saved["record"]
            return record
        if epochs:
            raise CheckpointError(f"none of the {len(epochs)} checkpoints in {self.path} can be read")
        return None

    def load(self, epoch: int) -> dict[str, Any]:
        """The contents of one checkpoint, on the CPU.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        filesystem, folder = self._open()
        name = f"{folder}/{_name(epoch)}"
        try:
            with filesystem.open_input_stream(name) as file:
                raw: bytes = file.read()
        except OSError as error:
            raise CheckpointError(f"cannot read checkpoint {name}: {error}") from error
        digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            raise CheckpointError(f"checkpoint {name} is damaged")
        saved: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        return saved

    def epochs(self) -> list[int]:
        """The epochs that have a checkpoint, in order."""
        filesystem, folder = self._open()
        files = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        return sorted(int(f.base_name[6:-3]) for f in files if f.base_name.endswith(".pt"))

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
        filesystem, folder = self._open()
        for epoch in self.epochs()[: -self.keep]:
            if epoch != best:
                filesystem.delete_file(f"{folder}/{_name(epoch)}")

    def _open(self) -> tuple[fs.FileSystem, str]:
        filesystem, folder = fs.FileSystem.from_uri(self.path)
        return filesystem, folder


def best_weights(checkpoint: Mapping[str, Any], network: str) -> dict[str, torch.Tensor]:
    """A network's weights for use: its moving average where there is one. The twin of `TrainingState.best_of`."""
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
