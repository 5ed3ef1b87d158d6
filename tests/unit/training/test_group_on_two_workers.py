"""Two workers train a group as one does: one trial is stopped, one fails, and the others resume."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support.tiny_trial import CPU, make_data, make_source_weights, make_spec
from support.two_workers import run_two_workers

from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.distributed import world_size
from adaptune.training.group import GroupTrial
from adaptune.training.loop import Outcome, fit_group
from adaptune.training.record import EpochRecord

SHARED: dict[str, Any] = {
    "batch_size": 8,
    "ema_decay": 0.9,
    "classifier_ema_decay": 0.9,
    "feature_gate": 0.4,
    "augment": {"shift": 0.1},
    "loss_weights": {"information": 2, "feature": 1},
}
STOPPED = 3
FAILING = 5
# The first one is stopped after two epochs, and the second one fails in the first epoch.
MEMBERS: dict[int, dict[str, Any]] = {
    STOPPED: {},
    FAILING: {"loss_weights": {"task": 1e39}},
    6: {
        "task_images": "both",
        "classifier_ema_decay": 0,
        "loss_weights": {"feature": 0, "information": 0},
    },
    9: {
        "classifier_lr": 0.003,
        "loss_weights": {"confusion": 1, "consistency": 1},
        "consistency": {"threshold": 0.4, "mask": 0.5},
    },
}
Numbers = dict[int, list[dict[str, float]]]  # by trial and epoch


def numbers_of(outcome: Outcome) -> dict[str, float]:
    """Return losses, scores and health, without validators, some of which amplify rounding."""
    if not isinstance(outcome, EpochRecord):
        return {"failed": 1.0}
    numbers = {}
    for name, value in outcome.flat().items():
        is_compared = not name.startswith("validator/") and not name.endswith("_s")
        if isinstance(value, float) and is_compared:
            numbers[name] = value
    return numbers


def session(folder: Path, members: list[int], epochs: int) -> Numbers:
    """Return the numbers of the trials of a group that is killed after some epochs."""
    trials = {}
    for number in members:
        checkpoints = CheckpointFolder(str(folder), identity=f"trial {number}")
        trials[number] = GroupTrial(make_spec(**SHARED | MEMBERS[number]), checkpoints)
    weights = make_source_weights(trials[members[-1]].spec)
    stopped: set[int] = set()
    numbers: Numbers = {}
    outcomes = fit_group(trials, make_data(), weights, device=CPU, health=True, stopped=stopped)
    for epoch in itertools.islice(outcomes, epochs):
        for number, outcome in epoch.items():
            numbers.setdefault(number, []).append(numbers_of(outcome))
            if isinstance(outcome, EpochRecord) and outcome.epoch == 2:
                stopped.add(STOPPED)
    return numbers


def both_sessions(rank: int, folder: Path) -> list[Numbers]:
    first = session(folder / "checkpoints", list(MEMBERS), epochs=3)
    if world_size() > 1:
        dist.barrier()  # rank 0 has written the checkpoint from which both resume
    second = session(folder / "checkpoints", [6, 9], epochs=4)
    return [first, second]


@pytest.mark.slow
def test_two_workers_train_a_group_as_one_does(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    expected = both_sessions(0, tmp_path / "one")
    lengths = [{number: len(rows) for number, rows in part.items()} for part in expected]
    assert lengths == [{STOPPED: 2, FAILING: 1, 6: 3, 9: 3}, {6: 2, 9: 2}]
    for numbers in run_two_workers(both_sessions, tmp_path / "two"):
        torch.testing.assert_close(numbers, expected, rtol=1e-4, atol=1e-4)
