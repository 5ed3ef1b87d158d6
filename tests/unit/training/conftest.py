from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import torch
from support.tiny_trial import CPU, make_data, make_source_weights

from adaptune.data.splits import TrialData
from adaptune.errors import PreemptedError
from adaptune.spec.schema import TrialSpec
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import IsPreempted, fit
from adaptune.training.record import EpochRecord

Fit = Callable[..., list[EpochRecord]]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Networks this small gain nothing from threads, which wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run_fit() -> Fit:
    """Train a tiny trial and return its records, at most `stop_after` of them.

    A preempted trial returns the records before its preemption.
    """

    def run(
        spec: TrialSpec,
        checkpoints: CheckpointFolder | None = None,
        stop_after: int | None = None,
        is_preempted: IsPreempted | None = None,
        data: TrialData | None = None,
    ) -> list[EpochRecord]:
        records = []
        epochs = fit(
            spec,
            data or make_data(spec.data.source.size),
            make_source_weights(spec),
            device=CPU,
            checkpoints=checkpoints,
            is_preempted=is_preempted,
        )
        with suppress(PreemptedError):
            for record in epochs:
                records.append(record)
                if len(records) == stop_after:
                    break
        return records

    return run
