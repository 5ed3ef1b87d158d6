from __future__ import annotations

from pathlib import Path

import pytest
from support.event_files import full_disk, read_events, read_pictures
from support.fake_run import make_run
from support.fake_search import FakeTrial, make_config, make_record, make_result, make_search
from support.tracked_search import write_grid
from tensorboardX.record_writer import RecordWriter

from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.tensorboard import TensorBoardCallback
from adaptune.search.driver import SearchRun
from adaptune.search.protocol import TrialConfig

CONFIG = TrialConfig(1, {})
OTHER = TrialConfig(2, {})


@pytest.fixture
def run(tmp_path: Path) -> SearchRun:
    """A search whose trials 0, 1 and 2 have begun."""
    run = make_run(tmp_path, make_search())
    for _ in range(3):
        run.study.ask()
    return run


@pytest.fixture
def callback(run: SearchRun) -> TensorBoardCallback:
    return TensorBoardCallback(run.spec, run.study, run.folder)


def test_each_trial_has_its_own_file_until_it_ends(
    run: SearchRun, callback: TensorBoardCallback
) -> None:
    for epoch in (1, 2):
        callback.on_epoch(CONFIG, make_record(epoch, 0.5))
        callback.on_epoch(OTHER, make_record(epoch, 0.75))
    callback.on_trial_end(CONFIG)
    callback.on_trial_end(OTHER)
    for number, accuracy in ((1, 0.5), (2, 0.75)):
        values = read_events(run.folder.trial(number))
        assert values["target_val_accuracy", 1] == accuracy
        assert values["target_val_accuracy", 2] == accuracy


def test_a_trial_that_ends_without_an_epoch_has_no_file(
    run: SearchRun, callback: TensorBoardCallback
) -> None:
    callback.on_trial_end(CONFIG)
    assert not run.folder.trial(1).exists()


def test_the_sample_grids_of_a_trial_are_in_its_file(
    run: SearchRun, callback: TensorBoardCallback
) -> None:
    write_grid(run, 1, 2)
    for epoch in (1, 2):
        callback.on_epoch(CONFIG, make_record(epoch, 0.5))
    callback.on_trial_end(CONFIG)
    assert list(read_pictures(run.folder.trial(1))) == [("translations", 2)]


def test_a_bucket_is_not_read_for_them(run: SearchRun, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ResultsFolder(run.folder.path, "s3://bucket/fake")
    monkeypatch.setattr(ResultsFolder, "checkpoints", lambda *_: pytest.fail("a bucket is read"))
    callback = TensorBoardCallback(run.spec, run.study, folder)
    callback.on_epoch(CONFIG, make_record(1, 0.5))
    callback.on_trial_end(CONFIG)


def test_a_full_disk_does_not_end_a_search(
    run: SearchRun,
    callback: TensorBoardCallback,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    callback.on_epoch(CONFIG, make_record(1, 0.5))
    with monkeypatch.context() as disk:
        disk.setattr(RecordWriter, "flush", full_disk)
        trial = FakeTrial("tune-1", make_config(1))
        callback.on_trial_result(1, [trial], trial, make_result(2, 0.5, number=1))
    assert "TensorBoardCallback failed; the search continues" in caplog.messages
    callback.on_epoch(CONFIG, make_record(3, 0.5))  # there is space again
    callback.on_trial_end(CONFIG)
    assert ("target_val_accuracy", 3) in read_events(run.folder.trial(1))
