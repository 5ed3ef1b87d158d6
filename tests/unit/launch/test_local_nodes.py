"""cluster/local ends exactly what it started. (tests/integration starts real nodes.)"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.local import nodes as local
from cluster.local.nodes import Nodes, NodesError

# A node whose child does not end when it is asked to.
STUBBORN = "trap '' TERM; sleep 60 & trap 'exit 0' TERM; echo ready; wait"


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["bash", "-c", STUBBORN], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    _, started = local._process_table()[process.pid]
    (tmp_path / "head.pid").write_text(f"{process.pid} {started}")
    (tmp_path / "ports").write_text("6399 8275")
    yield process
    for pid in local.Node("head", process.pid, started).processes():
        os.kill(pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_down_ends_a_node_with_its_children(
    tmp_path: Path, leader: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_TIMEOUT_S", 0.5)
    node = Nodes(tmp_path).node("head")
    assert len(node.processes()) == 2
    Nodes(tmp_path).down()
    assert node.processes() == []
    assert not tmp_path.exists()


def test_what_a_killed_node_left_is_still_found(
    tmp_path: Path, leader: subprocess.Popen[str]
) -> None:
    node = Nodes(tmp_path).node("head")
    leader.kill()
    leader.wait()
    assert len(node.processes()) == 1
    Nodes(tmp_path).kill("head")
    deadline = time.monotonic() + 5
    while node.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert node.processes() == []


def test_a_later_process_of_the_same_number_is_left_alone(
    tmp_path: Path, leader: subprocess.Popen[str]
) -> None:
    (tmp_path / "head.pid").write_text(f"{leader.pid} 1")
    Nodes(tmp_path).down()
    assert leader.poll() is None


def test_a_second_cluster_in_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NodesError, match="is there already"):
        Nodes(tmp_path).up(workers=1, cpus=1)
    assert tmp_path.exists()


def test_a_node_that_does_not_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(Nodes, "_alive", lambda nodes: 0)
    with pytest.raises(NodesError, match="node head ended"):
        Nodes(tmp_path / "nodes").up(workers=1, cpus=1)
    assert not (tmp_path / "nodes").exists()


def test_the_token_is_its_owners_and_the_nodes_listen_here_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    environments: list[dict[str, str]] = []

    class Process:
        def __init__(self, command: list[str], env: dict[str, str], **_: object) -> None:
            seen.append(command)
            environments.append(env)
            self.pid = 2**22 + 1  # nobody's

        def wait(self) -> None: ...

    monkeypatch.setattr(local.subprocess, "Popen", Process)
    monkeypatch.setattr(Nodes, "_alive", lambda nodes: 99)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of another cluster")
    nodes = Nodes(tmp_path / "nodes")
    nodes.up(workers=2, cpus=3)
    assert nodes.token.stat().st_mode & 0o777 == 0o600
    assert nodes.folder.stat().st_mode & 0o777 == 0o700
    assert len(nodes.token.read_text()) == 64
    assert [node.name for node in nodes.nodes()] == ["head", "worker-1", "worker-2"]
    head, *workers = seen
    assert {"--head", "--num-cpus=0", "--dashboard-host=127.0.0.1"} <= set(head)
    assert all({"--num-cpus=3", f"--address={nodes.address}"} <= set(worker) for worker in workers)
    assert all("--node-ip-address=127.0.0.2" in command for command in seen)
    for environment in environments:
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == str(nodes.token)
        assert "RAY_AUTH_TOKEN" not in environment
