"""A local cluster stops the processes that it started and no others.

test_listening_ports.py and the chaos tests start real nodes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.local import local_cluster
from cluster.local.local_cluster import LocalCluster, LocalClusterError

WAIT_S = 60.0
# A node whose child ignores SIGTERM.
STUBBORN = "trap '' TERM; sleep 600 & trap 'exit 0' TERM; echo ready; wait"


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["bash", "-c", STUBBORN], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    _, start_time = local_cluster._process_table()[process.pid]
    (tmp_path / "head.pid").write_text(f"{process.pid} {start_time}")
    (tmp_path / "ports").write_text("6399 8275")
    yield process
    for pid in local_cluster.Node("head", process.pid, start_time).processes():
        os.kill(pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_down_stops_a_node_and_its_children(
    tmp_path: Path, leader: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_cluster, "STOP_TIMEOUT_S", 0.5)
    node = LocalCluster(tmp_path).node("head")
    assert len(node.processes()) == 2
    LocalCluster(tmp_path).down()
    assert node.processes() == []
    assert not tmp_path.exists()


def test_processes_that_outlive_their_killed_leader_are_still_found(
    tmp_path: Path, leader: subprocess.Popen[str]
) -> None:
    node = LocalCluster(tmp_path).node("head")
    leader.kill()
    leader.wait()
    assert len(node.processes()) == 1
    LocalCluster(tmp_path).kill("head")
    deadline = time.monotonic() + WAIT_S
    while node.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert node.processes() == []


def test_a_later_process_with_the_same_pid_is_left_alone(
    tmp_path: Path, leader: subprocess.Popen[str]
) -> None:
    (tmp_path / "head.pid").write_text(f"{leader.pid} 1")
    LocalCluster(tmp_path).down()
    assert leader.poll() is None


def test_a_second_cluster_in_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalClusterError, match="already exists"):
        LocalCluster(tmp_path).up(workers=1, cpus=1)
    assert tmp_path.exists()


def test_a_node_that_does_not_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(LocalCluster, "_alive", lambda cluster: 0)
    with pytest.raises(LocalClusterError, match="node head ended"):
        LocalCluster(tmp_path / "nodes").up(workers=1, cpus=1)
    assert not (tmp_path / "nodes").exists()


def test_the_token_is_private_and_ray_is_told_to_use_addresses_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    environments: list[dict[str, str]] = []

    class Process:
        def __init__(self, command: list[str], env: dict[str, str], **_: object) -> None:
            commands.append(command)
            environments.append(env)
            self.pid = 2**22 + 1  # above the highest pid

        def wait(self) -> None: ...

    monkeypatch.setattr(local_cluster.subprocess, "Popen", Process)
    monkeypatch.setattr(LocalCluster, "_alive", lambda cluster: 99)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of another cluster")
    cluster = LocalCluster(tmp_path / "nodes")
    cluster.up(workers=2, cpus=3)
    assert cluster.token.stat().st_mode & 0o777 == 0o600
    assert cluster.folder.stat().st_mode & 0o777 == 0o700
    assert len(cluster.token.read_text()) == 64
    assert [node.name for node in cluster.nodes()] == ["head", "worker-1", "worker-2"]
    head, *workers = commands
    assert {"--head", "--num-cpus=0", "--dashboard-host=127.0.0.1"} <= set(head)
    assert all(
        {"--num-cpus=3", f"--address={cluster.address}"} <= set(worker) for worker in workers
    )
    assert all("--node-ip-address=127.0.0.2" in command for command in commands)
    for environment in environments:
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == str(cluster.token)
        assert "RAY_AUTH_TOKEN" not in environment
