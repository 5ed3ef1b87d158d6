"""Tiny trials on CUDA devices, and on the CPU to compare with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptune.data.splits import TrialData
from adaptune.execution.runtime import GroupJob, TrialJob, WorkerRuntime
from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.record import TARGET_VAL, EpochRecord
from support.tiny_trial import (
    WITH_MEMORY,
    make_data,
    make_source_weights,
    make_spec,
    with_labelled_target,
)

# The rounding of TF32 would hide a wrong number.
EVERYTHING: dict[str, Any] = {"tf32": False} | WITH_MEMORY
CLOSE: dict[str, Any] = {"rel": 1e-3, "abs": 1e-3}


def epoch_losses(device: torch.device, folder: Path, **options: Any) -> Iterator[dict[str, float]]:
    """Yield the mean losses of each epoch of a tiny trial, trained as a runner trains it."""
    for losses in group_losses(device, folder, [options]):
        yield losses[0]


def group_losses(
    device: torch.device, folder: Path, trials: Sequence[dict[str, Any]]
) -> Iterator[list[dict[str, float]]]:
    """Yield the mean losses of each epoch of tiny trials that train together, in their order.

    Args:
        trials: options of each trial.
    """
    jobs = []
    for number, options in enumerate(trials):
        spec = make_spec(**(EVERYTHING | {"batch_size": 8} | options))
        checkpoints = CheckpointFolder(str(folder), identity=f"trial {number}")
        jobs.append(TrialJob(number, spec, checkpoints, TARGET_VAL, check_health=True))
    spec = jobs[0].spec
    runtime = WorkerRuntime(data_of(spec), make_source_weights(spec), device)
    for outcomes in runtime.outcomes(GroupJob(tuple(jobs))):
        losses = []
        for number in range(len(jobs)):
            record = outcomes[number]
            assert isinstance(record, EpochRecord)
            losses.append(dict(record.losses))
        yield losses


def cuda() -> torch.device:
    return torch.device("cuda", 0)


def assert_close(losses: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    for epoch, expected_epoch in zip(losses, expected, strict=True):
        assert epoch == pytest.approx(expected_epoch, **CLOSE)


def data_of(spec: TrialSpec) -> TrialData:
    data = make_data(spec.data.source.size)
    per_class = spec.data.target.train_labels
    return with_labelled_target(data, per_class) if per_class else data


@contextmanager
def no_waits() -> Iterator[None]:
    """Raise an error if the CPU waits for the GPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode", UserWarning)
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
