"""A study with trial groups in optuna-dashboard."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from support.fake_search import make_search, simulate

from adaptune.study.storage import read_study

pytestmark = pytest.mark.slow
SPACE = {
    "loss_weights.cycle": {"search": "loguniform", "low": 0.1, "high": 30},
    "loss_weights.information": {"search": "uniform", "low": 0, "high": 1},
}
KILLED_AFTER = 7  # epochs of groups


def curve(values: Mapping[str, Any], epoch: int) -> float:
    quality = 1 / (1 + abs(values["loss_weights.cycle"] - 3) / 10)
    return float(quality * (1 - 0.5**epoch) * (1 - 0.3 * values["loss_weights.information"]))


@contextmanager
def dashboard(journal: Path) -> Iterator[str]:
    """Serve a study; yield the address."""
    optuna_dashboard = pytest.importorskip("optuna_dashboard")
    app = optuna_dashboard.wsgi(JournalStorage(JournalFileBackend(str(journal))))
    with make_server("127.0.0.1", 0, app) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def read(url: str) -> Any:
    with urllib.request.urlopen(url) as response:
        return json.load(response)


@pytest.mark.filterwarnings("ignore")  # the dashboard's own
@pytest.mark.parametrize("stop_after", [KILLED_AFTER, None])
def test_the_dashboard_shows_the_trials_of_groups_with_their_states_and_curves(
    stop_after: int | None, tmp_path: Path
) -> None:
    search = {"trials": 9, "startup_trials": 3, "classifiers_per_gan": 3}
    spec = make_search(SPACE, search=search)
    journal = tmp_path / "study.journal"
    simulate(spec, journal, curve, concurrency=2, stop_after=stop_after)
    trials = read_study(spec, journal).started_trials()
    assert len({trial.state for trial in trials}) == 2
    with dashboard(journal) as address:
        [summary] = read(f"{address}/api/studies")["study_summaries"]
        shown = read(f"{address}/api/studies/{summary['study_id']}?after=0")["trials"]
    assert summary["study_name"] == spec.name
    assert [trial["number"] for trial in shown] == [trial.number for trial in trials]
    for view, trial in zip(shown, trials, strict=True):
        assert view["state"] == trial.state.name.capitalize()
        points = {point["step"]: point["value"] for point in view["intermediate_values"]}
        assert points == trial.curve
        attributes = {entry["key"]: entry["value"] for entry in view["user_attrs"]}
        place = {"leader": trial.number - trial.number % 3, "size": 3}
        assert json.loads(attributes["group"]) == place
