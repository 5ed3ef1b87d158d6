from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import FakeTrial, make_config, make_record, make_result, make_search

from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.checkpoint_retention import CheckpointRetentionCallback
from adaptune.study.checkpoint_deletion import CheckpointDeletion
from adaptune.study.study import SearchStudy, create_study


@pytest.fixture
def study() -> SearchStudy:
    return create_study(make_search(training={"epochs": 2}))


def write_checkpoints(folder: ResultsFolder, number: int, epochs: int) -> None:
    checkpoints = Path(folder.checkpoints(number).path)
    checkpoints.mkdir(parents=True)
    for epoch in range(1, epochs + 1):
        (checkpoints / f"epoch-{epoch:04d}.pt").write_bytes(b"weights")


def test_what_an_ended_trial_does_not_need_is_deleted_at_the_next_step(
    tmp_path: Path, study: SearchStudy
) -> None:
    folder = ResultsFolder(tmp_path)
    callback = CheckpointRetentionCallback(CheckpointDeletion(study, folder, budget_gb=None))
    trial = study.ask()
    tune_trial = FakeTrial("tune-1", make_config(trial.number))
    for epoch, accuracy in ((1, 0.7), (2, 0.6)):
        study.add_epoch(trial, make_record(epoch, accuracy), accuracy)
        callback.on_trial_result(
            1, [tune_trial], tune_trial, make_result(epoch, accuracy, number=trial.number)
        )
    write_checkpoints(folder, trial.number, epochs=2)
    callback.on_step_end(1, [tune_trial])
    assert folder.checkpoints(trial.number).epochs() == [1, 2]
    callback.on_trial_complete(1, [tune_trial], tune_trial)
    study.tell_result(trial, epochs=2, error=None, wall_s=None)
    callback.on_step_end(2, [tune_trial])
    assert folder.checkpoints(trial.number).epochs() == [1]
