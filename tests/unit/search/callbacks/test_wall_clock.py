from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.fake_search import make_record, make_search

from adaptune.search.callbacks.wall_clock import WallClockCallback
from adaptune.search.protocol import TrialConfig
from adaptune.study.storage import open_study
from adaptune.study.wall_clock import WallClock


def test_a_kill_after_an_epoch_does_not_lose_the_time_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: 500.0)
    spec = make_search()
    journal = tmp_path / "study.journal"
    clock = WallClock(open_study(spec, journal), start=400.0)
    WallClockCallback(clock).on_epoch(TrialConfig(0, {}), make_record(1, 0.5))
    resumed = WallClock(open_study(spec, journal), start=500.0)
    assert resumed.update() == 100.0
