"""What a search sees of a cluster whose nodes come and go."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from support.fake_search import make_search

from adaptune.cluster import connection
from adaptune.cluster.connection import secure_auth_token
from adaptune.errors import ResourceError

Nodes = list[dict[str, float]]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """The nodes that Ray has; an hour passes with each second that is waited."""
    found: Nodes = []
    clock = [0.0]
    monkeypatch.setattr(connection, "node_resources", lambda wish: found)
    monkeypatch.setattr(connection, "request_resources", lambda **_: None)
    monkeypatch.setattr(connection.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(
        connection.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + 3600 * seconds)
    )
    return found


def test_the_first_trials_nodes_are_waited_for_and_said(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Nodes] = []
    monkeypatch.setattr(
        connection,
        "request_resources",
        lambda *, bundles, bundle_label_selectors: asked.append(bundles),
    )
    monkeypatch.setattr(connection.time, "sleep", lambda seconds: nodes.append({"CPU": 2}))
    said = io.StringIO()
    spec = make_search(resources={"wait_for_nodes_s": 10_000, "workers_per_trial": 2})
    assert connection.wait_for_plan(spec, Console(file=said, width=200)).concurrency == 1
    assert asked == [[{"CPU": 1.0}, {"CPU": 1.0}]]
    assert "waiting up to 10000 s for nodes: a trial needs 2 worker(s)" in said.getvalue()


def test_an_autoscaler_is_asked_for_all_trials_that_may_run_at_a_time(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Nodes] = []
    monkeypatch.setattr(
        connection,
        "request_resources",
        lambda *, bundles, bundle_label_selectors: asked.append(bundles),
    )
    nodes.append({"CPU": 2, "GPU": 2})
    spec = make_search(resources={"max_concurrent": 3, "accelerator_type": "A100"})
    capacity = connection.ClusterCapacity(spec, connection.wait_for_plan(spec, Console()))
    for unfinished in (10, 10, 2):
        connection.time.sleep(1)
        capacity(unfinished)
    unknown, known = (
        {"CPU": 1.0} | gpu | {"accelerator_type:A100": 0.001} for gpu in ({}, {"GPU": 1.0})
    )
    assert asked == [
        [unknown],
        [known] * 6,
        [known] * 6,
        [known] * 4,
    ]  # two workers a trial, as the first node has it


def test_trials_run_on_nodes_with_their_gpu_and_their_labels_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        {
            "Alive": True,
            "Resources": {"CPU": 1.0, "accelerator_type:A100": 1.0},
            "Labels": {"market": "spot"},
        },
        {"Alive": True, "Resources": {"CPU": 2.0, "accelerator_type:T4": 1.0}, "Labels": {}},
        {
            "Alive": False,
            "Resources": {"CPU": 4.0, "accelerator_type:A100": 1.0},
            "Labels": {"market": "spot"},
        },
    ]
    monkeypatch.setattr(connection.ray, "nodes", lambda: found)

    def cpus(**wish: object) -> list[float]:
        return [
            node["CPU"] for node in connection.node_resources(make_search(resources=wish).resources)
        ]

    assert cpus() == [1, 2]
    assert cpus(accelerator_type="A100") == [1]
    assert cpus(label_selector={"market": "in(spot, on-demand)"}) == [1]
    assert cpus(label_selector={"market": "!spot"}) == [2]
    assert cpus(accelerator_type="T4", label_selector={"market": "spot"}) == []


def test_waiting_for_nodes_ends_with_the_arithmetic(nodes: Nodes) -> None:
    spec = make_search(resources={"wait_for_nodes_s": 10_000, "workers_per_trial": 2})
    with pytest.raises(
        ResourceError, match=r"a trial needs 2 worker\(s\) .* but the cluster has no node"
    ):
        connection.wait_for_plan(spec, Console(file=io.StringIO()))


def test_more_nodes_hold_more_trials_and_a_trials_workers_stay_as_they_are(nodes: Nodes) -> None:
    nodes.append({"CPU": 2})
    spec = make_search()
    capacity = connection.ClusterCapacity(spec, connection.wait_for_plan(spec, Console()))
    assert capacity(20) == 1
    nodes.append({"CPU": 4})
    connection.time.sleep(1)
    assert capacity(20) == 3
    nodes.clear()
    connection.time.sleep(1)
    assert capacity(20) == 0


def test_the_token_of_local_clusters_is_for_its_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    secure_auth_token()  # before Ray has made one
    assert (tmp_path / ".ray").stat().st_mode & 0o777 == 0o700
    token = tmp_path / ".ray" / "auth_token"
    token.write_text("secret")
    token.chmod(0o644)
    secure_auth_token()
    assert token.stat().st_mode & 0o777 == 0o600


def test_a_token_that_is_nowhere_is_the_users_to_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "gone"))
    asking = "from adaptune.cluster.connection import joined\nwith joined(None, 'x'): pass"
    done = subprocess.run(
        [sys.executable, "-c", asking], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1].startswith(
        "adaptune.errors.ResourceError: Ray and its token: RAY_AUTH_TOKEN_PATH"
    )
