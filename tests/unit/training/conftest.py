from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU, make_data, make_source_weights

from adaptune.errors import PreemptedError
from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import Notice, Record, fit

Fit = Callable[..., list[Record]]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Nets this small only wait for each other's threads, for long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run_fit() -> Fit:
    """Train a tiny trial and return its records; `stop_after` of them the listener stops asking.

    A preempted trial's are those before the notice.
    """

    def run(
        spec: TrialSpec,
        checkpoints: CheckpointFolder | None = None,
        stop_after: int | None = None,
        notice: Notice | None = None,
    ) -> list[Record]:
        weights: Any = make_source_weights(spec)
        data = make_data(spec.data.source.size)
        records = []
        with suppress(PreemptedError):
            for record in fit(
                spec, data, weights, device=CPU, checkpoints=checkpoints, notice=notice
            ):
                records.append(record)
                if len(records) == stop_after:
                    break
        return records

    return run
