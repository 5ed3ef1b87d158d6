from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.fake_search import make_search

from adaptune.study.storage import open_study
from adaptune.study.study import create_study
from adaptune.study.wall_clock import WallClock


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock; return its time, which tests can change."""
    now = [50.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_the_sessions_of_a_killed_driver_add_up(journal: Path) -> None:
    spec = make_search()
    killed = WallClock(open_study(spec, journal), start=-50.0)
    assert killed.update() == 100.0
    resumed = WallClock(open_study(spec, journal), start=30.0)
    assert resumed.update() == 120.0


def test_a_session_counts_once_however_often_it_is_stored(now: list[float]) -> None:
    clock = WallClock(create_study(make_search()), start=40.0)
    assert clock.update() == 10.0
    now[0] = 55.0
    assert clock.update() == 15.0


def test_the_time_of_a_session_that_was_never_stored_is_lost(journal: Path) -> None:
    spec = make_search()
    WallClock(open_study(spec, journal), start=-50.0)
    resumed = WallClock(open_study(spec, journal), start=50.0)
    assert resumed.update() == 0.0
