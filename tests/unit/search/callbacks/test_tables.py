from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.fake_search import FakeTrial, make_config, make_search

from adaptune.results.folder import ResultsFolder
from adaptune.search.callbacks.tables import MIN_INTERVAL_S, TablesCallback
from adaptune.search.protocol import TrialConfig
from adaptune.study import tables
from adaptune.study.study import SearchStudy, create_study
from adaptune.study.trial import TrialPlacement

PLACEMENT = TrialPlacement("ray_train", 2)
CONFIG = TrialConfig(0, {})


@pytest.fixture
def study() -> SearchStudy:
    study = create_study(make_search())
    study.ask()
    return study


def make_callback(
    study: SearchStudy, out: Path, now: list[float], after_write: Callable[[], None]
) -> TablesCallback:
    folder = ResultsFolder(out)
    return TablesCallback(study, folder, PLACEMENT, after_write, lambda: now[0])


def test_tables_are_written_when_a_trial_ends_but_not_all_the_time(
    study: SearchStudy, tmp_path: Path
) -> None:
    now = [100.0]
    written_at: list[float] = []
    callback = make_callback(study, tmp_path, now, lambda: written_at.append(now[0]))
    for seconds in (100.0, 100.0 + MIN_INTERVAL_S - 1, 100.0 + MIN_INTERVAL_S, 111.0, 121.0):
        now[0] = seconds
        callback.on_trial_end(CONFIG)
    assert written_at == [100.0, 110.0, 121.0]
    assert pq.read_table(tmp_path / "trials.parquet").num_rows == 1


def test_tables_that_take_long_are_written_less_often(
    study: SearchStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_slowly(*_: object) -> None:
        now[0] += 2.0

    now = [100.0]
    written_at: list[float] = []
    callback = make_callback(study, tmp_path, now, lambda: written_at.append(now[0]))
    monkeypatch.setattr("adaptune.search.callbacks.tables.write_tables", write_slowly)
    for seconds in (100.0, 120.0, 141.0, 142.0):
        now[0] = seconds
        callback.on_trial_end(CONFIG)
    assert written_at == [102.0, 144.0]


def test_a_full_disk_does_not_end_a_search(
    study: SearchStudy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    written: list[str] = []
    callback = make_callback(study, tmp_path, [100.0], lambda: written.append("tables"))
    monkeypatch.setattr(tables, "write_table", full_disk)
    trial = FakeTrial("tune-1", make_config(0))
    callback.on_trial_complete(1, [trial], trial)
    assert caplog.messages == ["TablesCallback failed; the search continues"]
    assert written == []
