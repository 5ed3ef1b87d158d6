from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.fake_calibration import replace_calibration
from support.fake_run import PLAN, SimulatedTrials, make_tiny_search
from support.image_search import make_killed_search, write_space

from adaptune.results.folder import ResultsFolder
from adaptune.spec.schema import SearchSpec
from adaptune.workflows import search


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A search space file over two small image folders."""
    return write_space(tmp_path)


@pytest.fixture
def killed(space: Path) -> ResultsFolder:
    """Results of three trials: one complete, one failed, one interrupted."""
    return make_killed_search(space)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> SimulatedTrials:
    """Replaces what needs Ray; the first trial is the best one."""
    simulated = SimulatedTrials([0, None])

    @contextmanager
    def connect(address: str | None, name: str) -> Iterator[str]:
        yield "127.0.0.1:8265"

    monkeypatch.setattr(search, "connect", connect)
    monkeypatch.setattr(search, "local_resources", lambda: {"CPU": 2.0, "GPU": 0.0})
    monkeypatch.setattr(search, "plan_on_cluster", lambda spec, folder, console, address: PLAN)
    monkeypatch.setattr(search, "open_splits", simulated.open_splits)
    monkeypatch.setattr(search, "prepare_run", simulated.prepare_run)
    replace_calibration(monkeypatch)
    monkeypatch.setattr(search, "run_trials", simulated.run_trials)
    return simulated


@pytest.fixture
def spec(tmp_path: Path) -> SearchSpec:
    return make_tiny_search(
        search={"trials": 2},
        storage={"out": str(tmp_path)},
        evaluation={"baselines": False},
    )
