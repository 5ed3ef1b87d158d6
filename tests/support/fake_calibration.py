"""A calibration without processes and without measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from adaptune.spec.schema import SearchSpec
from adaptune.training.calibration import Calibration
from adaptune.workflows import estimate, monitor
from adaptune.workflows.calibration import MeasuredWorker

CALIBRATION = Calibration(
    step_s=0.1,
    evaluation_s=0.5,
    checkpoint_s=0.1,
    labels_s=2.0,
    source_step_s=0.01,
    baseline_step_s=0.02,
    memory_bytes=400_000_000,
    available_bytes=8_000_000_000,
    is_on_gpu=False,
    wall_s=4.0,
)
WORKER = MeasuredWorker(CALIBRATION, start_s=3.0)


def group_worker(
    trials: int, added_s: float = 0.03, added_bytes: int = 1_000_000
) -> MeasuredWorker:
    """A worker of a group each of whose further trials adds so much to each update."""
    further = trials - 1
    calibration = replace(
        CALIBRATION,
        step_s=CALIBRATION.step_s + further * added_s,
        memory_bytes=CALIBRATION.memory_bytes + further * added_bytes,
    )
    return replace(WORKER, calibration=calibration)


def replace_calibration(
    monkeypatch: pytest.MonkeyPatch,
    result: MeasuredWorker | Exception | Callable[[int], MeasuredWorker] = WORKER,
) -> list[int]:
    """Let each calibration return or raise `result`; return a list of their numbers of copies.

    Args:
        result: or a function from the number of trials that share a GAN to the result.
    """
    copies_of_calls: list[int] = []

    def calibrate(spec: SearchSpec, sizes: object, plan: object, copies: int, *_: Any) -> Any:
        copies_of_calls.append(copies)
        if isinstance(result, Exception):
            raise result
        return result(spec.search.group_size) if callable(result) else result

    monkeypatch.setattr(estimate, "calibrate_on_cluster", calibrate)
    monkeypatch.setattr(estimate, "calibrate_on_this_machine", calibrate)
    for module in (estimate, monitor):
        monkeypatch.setattr(module, "node_resources", lambda _: [{"CPU": 2.0}])
    return copies_of_calls
