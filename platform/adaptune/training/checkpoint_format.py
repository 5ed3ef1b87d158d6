"""Names and format of checkpoint files.

A file is a SHA-256 digest, and then what `torch.save` makes of the contents.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from adaptune.errors import CheckpointError
from adaptune.training.record import EpochRecord
from adaptune.training.state import SHARED, TrainingState

Contents = dict[str, Any]  # as `encode` builds it
FORMAT = 3
MID_EPOCH_FILE = "mid-epoch.pt"
EPOCH_FILE = re.compile(r"epoch-(\d+)\.pt")
EARLIER_FILE = re.compile(r"epoch-(\d+)\.earlier-(\d+)\.pt")
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


@dataclass(frozen=True)
class Snapshot:
    """A trial at a moment of its training.

    Attributes:
        identity: identity of the trial, see `trial_identity`.
        state: its state.
        resume_point: the point from which it would resume.
    """

    identity: str
    state: TrainingState
    resume_point: ResumePoint


def encode(
    trials: Sequence[Snapshot], pools: Sequence[object], kept_epochs: Collection[int] = ()
) -> tuple[bytes, bytes]:
    """Return the two parts of a checkpoint file, in order: digest and body.

    Args:
        trials: the trials of a group; the GAN that they share is stored once.
        pools: `TrainingState.pools_state` of each worker, by rank.
        kept_epochs: best epochs of the trials of the group that have ended.
    """
    first, *others = trials
    contents: Contents = {
        "format": FORMAT,
        **_trial_contents(first),
        "pools": list(pools),
        "group": [_trial_contents(trial, without=SHARED) for trial in others],
        "kept_epochs": sorted(kept_epochs),
    }
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    body = buffer.getvalue()
    return hashlib.sha256(body).digest(), body


def _trial_contents(trial: Snapshot, without: Container[str] = ()) -> Contents:
    resume_point = trial.resume_point
    record = resume_point.record
    return {
        "identity": trial.identity,
        "state": trial.state.state_dict(without=without),
        "record": None if record is None else record.to_dict(),
        "means": dict(resume_point.means),
        "updates": resume_point.updates,
    }


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


def contents_of_trial(contents: Contents, identities: Container[str], name: str) -> Contents:
    """Return the contents for one trial of the group whose checkpoint it is.

    Args:
        identities: accepted identities of the trial, see `trial_identity`.
        name: name of the file for messages.

    Raises:
        CheckpointError: no trial in the checkpoint has one of these identities.
    """
    if contents["identity"] in identities:
        return contents
    for own in contents.get("group", ()):
        if own["identity"] in identities:
            return {**contents, **own, "state": _with_shared(own["state"], contents["state"])}
    raise CheckpointError(
        f"checkpoint {name} belongs to another trial: its values, seed, data or source"
        " classifier differ"
    )


def _with_shared(own: Contents, first: Contents) -> Contents:
    """Return the state of a trial with what it shares with the first one of its group."""
    state = dict(own)
    for part in ("networks", "optimizers", "averages"):
        shared = {name: value for name, value in first[part].items() if name in SHARED}
        state[part] = shared | own[part]
    return state


def ended_epochs(contents: Contents, identities: Iterable[str]) -> set[int]:
    """Return the best epochs of the trials of the group that have ended.

    Args:
        identities: identity of each trial that continues; trials of equal values have the same.
    """
    epochs = set(contents.get("kept_epochs", ()))
    running = Counter(identities)
    for trial in [contents, *contents.get("group", ())]:
        if running[trial["identity"]]:
            running[trial["identity"]] -= 1
        elif trial["state"]["best_epoch"]:
            epochs.add(trial["state"]["best_epoch"])
    return epochs


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


def earlier_file(epoch: int, start: int) -> str:
    """Return the name of an epoch's checkpoint that was written before training started again.

    Args:
        start: number of the start, from 1.
    """
    return f"epoch-{epoch:04d}.earlier-{start}.pt"


def earlier_starts(names: Iterable[str], epoch: int | None = None) -> list[int]:
    """Return the numbers of the starts before which checkpoints were written, in order.

    Args:
        names: names of all files.
        epoch: the epoch of the checkpoints; None for all.
    """
    starts = set()
    for name in names:
        match = EARLIER_FILE.fullmatch(name)
        if match and epoch in (None, int(match[1])):
            starts.add(int(match[2]))
    return sorted(starts)


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
