"""Other machines can reach no part of a local cluster without its token."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from cluster.check import FOLDER
from cluster.local.local_cluster import LocalCluster
from support.http_probe import answers_http
from support.ports import reserved_ports
from support.ray_nodes import folder_for_ray
from support.real_ray import RAY

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with reserved_ports() as ports, folder_for_ray("nodes-") as parent:
        port, _, dashboard_port, _ = ports  # the second port is for Ray's client server
        cluster = LocalCluster(parent / "n", port, dashboard_port)
        options = ["--port", str(port), "--dashboard-port", str(dashboard_port)]
        run_nodes(cluster, "up", "--workers", "1", *options)
        yield cluster
        run_nodes(cluster, "down")


def run_nodes(cluster: LocalCluster, *arguments: str) -> None:
    script = FOLDER / "local" / "nodes.py"
    command = [sys.executable, str(script), "--folder", str(cluster.folder), *arguments]
    subprocess.run(command, check=True)


def listening(cluster: LocalCluster) -> set[tuple[str, int]]:
    """Return the addresses and ports that the processes of a cluster listen on."""
    sockets = set()
    for node in cluster.nodes():
        for pid in node.processes():
            for connection in psutil.Process(pid).net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    address = connection.laddr.ip.removeprefix("::ffff:")
                    sockets.add((address, connection.laddr.port))
    return sockets


def test_the_dashboard_listens_on_this_machine_only(cluster: LocalCluster) -> None:
    addresses = {address for address, port in listening(cluster) if port == cluster.dashboard_port}
    assert addresses == {"127.0.0.1"}
    assert answers_http(cluster.dashboard_port, "/")


def test_no_http_server_can_be_reached_from_outside(cluster: LocalCluster) -> None:
    outside = [port for address, port in listening(cluster) if not address.startswith("127.")]
    assert cluster.port in outside  # so the list is not empty: Ray's own protocol listens here
    servers = [port for port in outside if answers_http(port, "/metrics")]
    assert servers == []


def test_a_client_with_another_token_is_refused(cluster: LocalCluster) -> None:
    command = [*RAY, "status", "--address", cluster.address]
    own = os.environ | cluster.environment()
    foreign = own | {"RAY_AUTH_TOKEN": "0" * 64}
    foreign.pop("RAY_AUTH_TOKEN_PATH")
    accepted = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    refused = subprocess.run(command, env=foreign, capture_output=True, text=True, check=False)
    assert accepted.returncode == 0, accepted.stderr
    assert refused.returncode != 0
    assert "InvalidAuthToken" in refused.stderr


def test_only_its_user_can_enter_the_folder_of_a_cluster(cluster: LocalCluster) -> None:
    assert cluster.folder.stat().st_mode & 0o777 == 0o700
    assert cluster.token.stat().st_mode & 0o777 == 0o600
    assert (cluster.folder / "ray" / "session_latest" / "sockets").is_dir()
