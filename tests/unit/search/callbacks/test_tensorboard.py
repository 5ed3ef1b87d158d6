from __future__ import annotations

from pathlib import Path

import pytest
from support.event_files import full_disk, read_events
from support.fake_search import FakeTrial, make_config, make_record, make_result
from tensorboardX.record_writer import RecordWriter

from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.tensorboard import TensorBoardCallback
from adaptune.search.protocol import TrialConfig

CONFIG = TrialConfig(3, {})


def test_each_trial_has_its_own_file_until_it_ends(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    callback = TensorBoardCallback(folder)
    other = TrialConfig(4, {})
    for epoch in (1, 2):
        callback.on_epoch(CONFIG, make_record(epoch, 0.5))
        callback.on_epoch(other, make_record(epoch, 0.75))
    callback.on_trial_end(CONFIG)
    callback.on_trial_end(other)
    for number, accuracy in ((3, 0.5), (4, 0.75)):
        values = read_events(folder.trial(number))
        assert values["target_val_accuracy", 1] == accuracy
        assert values["target_val_accuracy", 2] == accuracy


def test_a_trial_that_ends_without_an_epoch_has_no_file(tmp_path: Path) -> None:
    callback = TensorBoardCallback(ResultsFolder(tmp_path))
    callback.on_trial_end(CONFIG)
    assert not any(tmp_path.iterdir())


def test_a_full_disk_does_not_end_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    callback = TensorBoardCallback(ResultsFolder(tmp_path))
    with monkeypatch.context() as disk:
        disk.setattr(RecordWriter, "flush", full_disk)
        trial = FakeTrial("tune-1", make_config(3))
        callback.on_trial_result(1, [trial], trial, make_result(1, 0.5, number=3))
    assert caplog.messages == ["TensorBoardCallback failed; the search continues"]
    callback.on_epoch(CONFIG, make_record(2, 0.5))  # there is space again
    callback.on_trial_end(CONFIG)
    assert ("target_val_accuracy", 2) in read_events(ResultsFolder(tmp_path).trial(3))
