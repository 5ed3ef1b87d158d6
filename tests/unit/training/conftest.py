from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tiny_trial import CPU, make_data, make_source_weights

from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import Record, fit

Fit = Callable[..., list[Record]]


@pytest.fixture
def run_fit() -> Fit:
    """Train a tiny trial and return its records; `stop_after` of them the listener stops asking."""

    def run(
        spec: TrialSpec, checkpoints: CheckpointFolder | None = None, stop_after: int | None = None
    ) -> list[Record]:
        weights: Any = make_source_weights(spec)
        data = make_data(spec.data.source.size)
        records = []
        for record in fit(spec, data, weights, device=CPU, checkpoints=checkpoints):
            records.append(record)
            if len(records) == stop_after:
                break
        return records

    return run
