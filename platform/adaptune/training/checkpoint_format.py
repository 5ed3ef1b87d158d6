"""Format of a checkpoint file: a SHA-256 digest, then what `torch.save` makes of the contents."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from adaptune.errors import CheckpointError
from adaptune.training.record import EpochRecord
from adaptune.training.state import TrainingState

Contents = dict[str, Any]  # as `encode` builds it
FORMAT = 2
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


def encode(state: TrainingState, pools: Sequence[object], resume_point: ResumePoint) -> bytes:
    """Return the bytes of a checkpoint.

    Args:
        pools: `TrainingState.pools_state` of each worker, by rank.
    """
    record = resume_point.record
    contents: Contents = {
        "format": FORMAT,
        "state": state.state_dict(),
        "pools": list(pools),
        "record": None if record is None else record.to_dict(),
        "means": dict(resume_point.means),
        "updates": resume_point.updates,
    }
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    body = buffer.getvalue()
    return hashlib.sha256(body).digest() + body


def decode(raw: bytes, name: str) -> Contents:
    """Return the contents of a checkpoint, with tensors on the CPU.

    Args:
        raw: what `encode` returned.
        name: name of the file for messages.

    Raises:
        CheckpointError: the file is damaged, or an incompatible version of adaptune wrote it.
    """
    digest = raw[:_DIGEST_BYTES]
    body = raw[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError(f"checkpoint {name} is damaged")
    contents: Contents = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    version = contents.get("format", 1)
    if version != FORMAT:
        raise CheckpointError(
            f"checkpoint {name} has format {version};"
            f" this version of adaptune reads format {FORMAT}"
        )
    return contents


def load_resume_point(contents: Contents) -> ResumePoint:
    """Return the resume point in the contents of a checkpoint."""
    values = contents["record"]
    record = None if values is None else EpochRecord.from_dict(values)
    return ResumePoint(record, contents["means"], contents["updates"])


def eval_weights(contents: Mapping[str, Any], network: str) -> dict[str, Tensor]:
    """Return the weights of a network for evaluation: its moving average if it has one.

    This is what `TrainingState.eval_network` is for a running trial.

    Args:
        contents: contents of a checkpoint.
        network: name of the network, such as `f_t`.
    """
    state = contents["state"]
    weights: dict[str, Tensor] = state["averages"].get(network, state["networks"][network])
    return weights
