"""A Ray cluster of several nodes on this machine: a head without CPUs, and workers of one CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.local_cluster import NODES, Nodes
from support.object_store import CREDENTIALS, ObjectStore, running_store
from support.ports import reserved_ports
from support.ray_nodes import folder_for_ray, stopped_cleanly
from support.real_ray import ENVIRONMENT
from support.running_search import RunningSearch

Start = Callable[..., RunningSearch]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--new-workers",
        action="store_true",
        help="run all tests with a new worker group per trial",
    )


@pytest.fixture(scope="session")
def reuse_workers(request: pytest.FixtureRequest) -> bool:
    return not request.config.getoption("--new-workers", default=False)


@pytest.fixture(scope="session")
def running_nodes() -> Iterator[Nodes]:
    with stopped_cleanly(), reserved_ports() as ports, folder_for_ray("chaos-") as parent:
        port, _, dashboard_port, _ = ports  # the second port is for Ray's client server
        folder = parent / "nodes"
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
        environment = ENVIRONMENT | token | CREDENTIALS
        cluster = Nodes(f"127.0.0.2:{port}", environment, folder)
        options = ("--port", str(port), "--dashboard-port", str(dashboard_port))
        cluster.run_script("up", "--workers", str(NODES), *options)
        try:
            yield cluster
        finally:
            cluster.run_script("down")


@pytest.fixture
def nodes(running_nodes: Nodes) -> Nodes:
    running_nodes.restore()
    return running_nodes


@pytest.fixture(scope="session")
def undisturbed(running_nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of a search that nothing happened to."""
    search = RunningSearch(running_nodes, tmp_path_factory.mktemp("undisturbed") / "s")
    search.ends_complete()
    return search.folder


@pytest.fixture
def start(nodes: Nodes, tmp_path: Path, reuse_workers: bool) -> Iterator[Start]:
    searches: list[RunningSearch] = []

    def start_search(folder: Path = tmp_path / "s", **settings: Any) -> RunningSearch:
        settings = {"resources__reuse_workers": reuse_workers} | settings
        searches.append(RunningSearch(nodes, folder, output=tmp_path / "output", **settings))
        return searches[-1]

    yield start_search
    for search in searches:
        search.abandon()


@pytest.fixture
def object_store() -> Iterator[ObjectStore]:
    with running_store() as store:
        yield store
