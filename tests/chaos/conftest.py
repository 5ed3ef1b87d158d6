"""A Ray cluster of several nodes on this machine: a head without CPUs, and workers' nodes of one CPU each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.local_cluster import NODES, Nodes
from support.object_store import ObjectStore, running_store
from support.real_ray import ENVIRONMENT

PORT = 6398


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fresh-workers", action="store_true", help="all of it with a worker group per trial"
    )


@pytest.fixture(scope="session")
def fresh_workers(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--fresh-workers", default=False))


@pytest.fixture(scope="session")
def running_nodes() -> Iterator[Nodes]:
    # Ray's sockets lie in it, and their paths have a limit that pytest's folders go past.
    folder = Path(tempfile.mkdtemp(prefix="chaos-")) / "nodes"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    cluster = Nodes(f"127.0.0.2:{PORT}", ENVIRONMENT | token, folder)
    cluster.local("up", "--workers", str(NODES), "--port", str(PORT), "--dashboard-port", "8276")
    yield cluster
    cluster.local("down")


@pytest.fixture
def nodes(running_nodes: Nodes) -> Nodes:
    running_nodes.whole()
    return running_nodes


@pytest.fixture
def object_store() -> Iterator[ObjectStore]:
    with running_store() as store:
        yield store
