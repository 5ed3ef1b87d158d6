"""A calibration without processes and without measurements."""

from __future__ import annotations

from typing import Any

import pytest

from adaptune.training.calibration import Calibration
from adaptune.workflows import estimate
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


def replace_calibration(
    monkeypatch: pytest.MonkeyPatch, result: MeasuredWorker | Exception = WORKER
) -> list[int]:
    """Let each calibration return or raise `result`; return a list of their numbers of copies."""
    copies_of_calls: list[int] = []

    def calibrate(spec: object, sizes: object, plan: object, copies: int, *_: Any) -> Any:
        copies_of_calls.append(copies)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(estimate, "calibrate_on_cluster", calibrate)
    monkeypatch.setattr(estimate, "calibrate_on_this_machine", calibrate)
    monkeypatch.setattr(estimate, "node_resources", lambda _: [{"CPU": 2.0}])
    return copies_of_calls
