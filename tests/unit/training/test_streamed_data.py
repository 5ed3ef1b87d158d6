"""Images that are streamed from disk give the numbers of images in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_trial import WITH_MEMORY, make_data, make_spec, on_disk

from adaptune.data.splits import TrialData
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.record import EpochRecord

Fit = Callable[..., list[EpochRecord]]
EVERYTHING: dict[str, Any] = {"dropout": 0.5} | WITH_MEMORY


@pytest.fixture
def streamed(tmp_path: Path) -> TrialData:
    return on_disk(make_data(), tmp_path / "images")


def without_seconds(records: list[EpochRecord]) -> list[EpochRecord]:
    return [replace(record, train_s=0.0, eval_s=0.0) for record in records]


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_a_trial_is_bit_equal(
    method: str, tmp_path: Path, run_fit: Fit, streamed: TrialData
) -> None:
    spec = make_spec(method=method, **EVERYTHING)
    in_memory = CheckpointFolder(str(tmp_path / "memory"))
    from_disk = CheckpointFolder(str(tmp_path / "disk"))
    expected = run_fit(spec, in_memory)
    assert without_seconds(run_fit(spec, from_disk, data=streamed)) == without_seconds(expected)
    for part in ("state", "pools"):
        torch.testing.assert_close(from_disk.load(4)[part], in_memory.load(4)[part], rtol=0, atol=0)


def test_a_trial_that_is_resumed_with_the_other_kind_is_bit_equal(
    tmp_path: Path, run_fit: Fit, streamed: TrialData
) -> None:
    spec = make_spec(**EVERYTHING)
    expected = run_fit(spec, CheckpointFolder(str(tmp_path / "whole")))
    folder = CheckpointFolder(str(tmp_path / "halves"))
    first = run_fit(spec, folder, stop_after=2, data=streamed)
    second = run_fit(spec, folder)
    assert without_seconds(first + second[1:]) == without_seconds(expected)
