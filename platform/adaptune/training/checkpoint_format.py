"""Names and format of checkpoint files.

A file is a SHA-256 digest, and then what `torch.save` makes of the contents.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from adaptune.errors import CheckpointError
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState

Contents = dict[str, Any]  # as `encode` builds it
FORMAT = 3
MID_EPOCH_FILE = "mid-epoch.pt"
EPOCH_FILE = re.compile(r"epoch-(\d+)\.pt")
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class ResumePoint:
    """The point from which a trial resumes: between two epochs, or within one.

    Attributes:
        record: record of the last whole epoch; None in the first one.
        means: mean of each loss term over the updates since, by the name of the term.
        updates: number of updates since.
    """

    record: EpochRecord | None = None
    means: Mapping[str, float] = field(default_factory=dict)
    updates: int = 0


def encode(
    state: TrainingState, pools: Sequence[object], resume_point: ResumePoint, identity: str
) -> tuple[bytes, bytes]:
    """Return the two parts of a checkpoint file, in order: digest and body.

    Args:
        pools: `TrainingState.pools_state` of each worker, by rank.
        identity: identity of the trial, see `trial_identity`.
    """
    record = resume_point.record
    contents: Contents = {
        "format": FORMAT,
        "identity": identity,
        "state": state.state_dict(),
        "pools": list(pools),
        "record": None if record is None else record.to_dict(),
        "means": dict(resume_point.means),
        "updates": resume_point.updates,
    }
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    body = buffer.getvalue()
    return hashlib.sha256(body).digest(), body


def decode(raw: bytes, name: str) -> Contents:
    """Return the contents of a checkpoint, with tensors on the CPU.

    Args:
        raw: the parts that `encode` returned, joined.
        name: name of the file for messages.

    Raises:
        CheckpointError: the file is damaged, or an incompatible version of adaptune wrote it.
    """
    body = memoryview(raw)[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != raw[:_DIGEST_BYTES]:
        raise CheckpointError(f"checkpoint {name} is damaged")
    try:
        contents = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"checkpoint {name} is no checkpoint of adaptune: {error}") from error
    if not isinstance(contents, dict):
        raise CheckpointError(f"checkpoint {name} is no checkpoint of adaptune")
    version = contents.get("format", 1)
    if version != FORMAT:
        raise CheckpointError(
            f"checkpoint {name} has format {version};"
            f" this version of adaptune reads format {FORMAT}"
        )
    return contents


def stored_digest(raw: bytes) -> str:
    """Return the digest at the beginning of a checkpoint file, in hexadecimal."""
    return raw[:_DIGEST_BYTES].hex()


def check_identity(contents: Contents, identities: Container[str], name: str) -> None:
    """Check whose checkpoint it is.

    Args:
        identities: accepted identities, see `trial_identity`.
        name: name of the file for messages.

    Raises:
        CheckpointError: the checkpoint has none of these identities.
    """
    if contents["identity"] not in identities:
        raise CheckpointError(
            f"checkpoint {name} belongs to another trial: its values, seed, data or source"
            " classifier differ"
        )


def load_resume_point(contents: Contents) -> ResumePoint:
    """Return the resume point in the contents of a checkpoint."""
    values = contents["record"]
    record = None if values is None else EpochRecord.from_dict(values)
    return ResumePoint(record, contents["means"], contents["updates"])


def eval_weights(contents: Mapping[str, Any], network: str) -> dict[str, Tensor]:
    """Return the weights of a network for evaluation: its moving average if it has one.

    This is what `TrainingState.eval_network` is for a running trial, with the batch norm statistics
    that its epoch was evaluated with.

    Args:
        contents: contents of a checkpoint.
        network: name of the network, such as `f_t`.
    """
    state = contents["state"]
    weights: dict[str, Tensor] = state["averages"].get(network, state["networks"][network])
    return {**weights, **state.get("eval_buffers", {}).get(network, {})}


def epoch_file(epoch: int) -> str:
    """Return the name of the checkpoint file of an epoch."""
    return f"epoch-{epoch:04d}.pt"


def sizes_by_epoch(sizes: Mapping[str, int]) -> dict[int, int]:
    """Return the sizes of the epochs' checkpoints by epoch, given those of all files by name."""
    by_epoch = {}
    for name, size in sizes.items():
        match = EPOCH_FILE.fullmatch(name)
        if match:
            by_epoch[int(match[1])] = size
    return by_epoch


def newest_first(sizes: Mapping[str, int]) -> list[str]:
    """Return the names of the checkpoints among files, the newest one first.

    Args:
        sizes: sizes of all files by name.
    """
    names = [epoch_file(epoch) for epoch in sorted(sizes_by_epoch(sizes), reverse=True)]
    # The mid-epoch file is deleted once its epoch is complete, so it is the newest.
    if MID_EPOCH_FILE in sizes:
        names.insert(0, MID_EPOCH_FILE)
    return names
