from __future__ import annotations

import pytest
from support.tiny_trial import make_spec

from adaptune.execution.runtime import TrialJob
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.record import TARGET_VAL


@pytest.fixture
def job(tmp_path_factory: pytest.TempPathFactory) -> TrialJob:
    """A trial of two epochs, each of one update."""
    return TrialJob(
        number=3,
        spec=make_spec(epochs=2, steps_per_epoch=1),
        checkpoints=CheckpointFolder(str(tmp_path_factory.mktemp("checkpoints"))),
        metric=TARGET_VAL,
        check_health=False,
    )
