"""Recorded updates of trials that share a GAN."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.recorded_graph import CpuRecorder
from support.tiny_trial import CPU, WITH_MEMORY, make_data, make_source_weights, make_spec

from adaptune.errors import PreemptedError
from adaptune.training import epoch_trainer
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.group import GroupTrial
from adaptune.training.loop import Outcome, fit_group
from adaptune.training.record import EpochRecord

pytestmark = pytest.mark.slow
SHARED: dict[str, Any] = WITH_MEMORY | {
    "semantic_gate": None,
    "epochs": 3,
    "steps_per_epoch": 10,
    "dropout": 0.2,
}
# Trials that differ on the classifier side.
GROUP: dict[int, dict[str, Any]] = {
    3: {},
    5: {"loss_weights": {"information": 0.0, "feature": 0.5}, "classifier_lr": 0.003},
    6: {"task_images": "both", "classifier_from": 0.3, "dropout": 0.4},
}


def run_group(
    recorder: CpuRecorder | None, path: Path, **options: Any
) -> Iterator[dict[int, Outcome]]:
    members: dict[int, GroupTrial] = {}
    for number, settings in GROUP.items():
        shared = SHARED | settings
        folder = CheckpointFolder(str(path), identity=f"trial {number}")
        members[number] = GroupTrial(make_spec(**shared), folder)
    weights = make_source_weights(members[3].spec)
    return fit_group(members, make_data(), weights, device=CPU, recorder=recorder, **options)


def losses_of(outcomes: dict[int, Outcome]) -> dict[int, dict[str, float]]:
    losses = {}
    for number, outcome in outcomes.items():
        assert isinstance(outcome, EpochRecord)
        losses[number] = dict(outcome.losses)
    return losses


def test_a_group_of_three_resumes_between_replays(tmp_path: Path) -> None:
    expected = [losses_of(epoch) for epoch in run_group(None, tmp_path / "written")]
    first, second = CpuRecorder(), CpuRecorder()
    interrupted = run_group(first, tmp_path / "recorded")
    losses = [losses_of(epoch) for epoch in itertools.islice(interrupted, 2)]
    interrupted.close()
    losses += [losses_of(epoch) for epoch in run_group(second, tmp_path / "recorded")][1:]
    assert losses == expected
    assert min(*first.replays, *second.replays) >= 1
    assert len(second.graphs) == 1 + len(GROUP)  # that of the GAN, and one per f_T
    assert_same_checkpoints(tmp_path / "recorded", tmp_path / "written")


def assert_same_checkpoints(first: Path, second: Path) -> None:
    """Check that the last checkpoints of all trials are equal, bit by bit."""
    for number in GROUP:
        stored = [
            CheckpointFolder(str(path), identity=f"trial {number}").load(3)
            for path in (first, second)
        ]
        for part in ("state", "pools"):
            torch.testing.assert_close(stored[0][part], stored[1][part], rtol=0, atol=0)


def test_a_group_resumes_in_mid_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(run_group(None, tmp_path / "written"))
    monkeypatch.setattr(epoch_trainer, "PREEMPTION_CHECK_STEPS", 1)
    checks = itertools.count()
    recorder = CpuRecorder()
    with pytest.raises(PreemptedError, match="update 15, in epoch 2"):
        list(run_group(recorder, tmp_path / "recorded", is_preempted=lambda: next(checks) == 15))
    assert min(recorder.replays) >= 1
    list(run_group(CpuRecorder(), tmp_path / "recorded"))
    assert_same_checkpoints(tmp_path / "recorded", tmp_path / "written")


def test_a_trial_that_ends_changes_nothing_for_the_others(tmp_path: Path) -> None:
    def losses(recorder: CpuRecorder | None, path: Path) -> list[dict[int, dict[str, float]]]:
        stopped: set[int] = set()
        epochs = []
        for outcomes in run_group(recorder, path, stopped=stopped):
            epochs.append(losses_of(outcomes))
            stopped.add(3)  # the first one, which stands for the GAN
        return epochs

    assert losses(CpuRecorder(), tmp_path / "recorded") == losses(None, tmp_path / "written")
