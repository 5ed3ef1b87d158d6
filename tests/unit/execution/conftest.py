from __future__ import annotations

from dataclasses import replace

import pytest
from support.tiny_trial import make_spec

from adaptune.execution.runtime import GroupJob, TrialJob
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.record import TARGET_VAL


@pytest.fixture
def trial(tmp_path_factory: pytest.TempPathFactory) -> TrialJob:
    """A trial of two epochs, each of one update."""
    path = tmp_path_factory.mktemp("checkpoints")
    return TrialJob(
        number=3,
        spec=make_spec(epochs=2, steps_per_epoch=1),
        checkpoints=CheckpointFolder(str(path), identity="trial 3"),
        metric=TARGET_VAL,
        check_health=False,
    )


@pytest.fixture
def job(trial: TrialJob) -> GroupJob:
    """A trial that trains alone."""
    return GroupJob((trial,))


@pytest.fixture
def next_job(trial: TrialJob, tmp_path_factory: pytest.TempPathFactory) -> GroupJob:
    """Another trial that trains alone, with the same spec and a folder of its own."""
    path = tmp_path_factory.mktemp("next-checkpoints")
    checkpoints = CheckpointFolder(str(path), identity="trial 4")
    return GroupJob((replace(trial, number=4, checkpoints=checkpoints),))


@pytest.fixture
def group(trial: TrialJob) -> GroupJob:
    """Three trials of four epochs that train together."""
    members = []
    for number, classifier_lr in ((3, 0.001), (5, 0.002), (6, 0.003)):
        spec = make_spec(epochs=4, steps_per_epoch=1, classifier_lr=classifier_lr)
        checkpoints = replace(trial.checkpoints, identity=f"trial {number}")
        members.append(replace(trial, number=number, spec=spec, checkpoints=checkpoints))
    return GroupJob(tuple(members))
