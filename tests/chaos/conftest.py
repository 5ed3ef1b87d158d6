"""A Ray cluster of several nodes on this machine: a head without CPUs, and workers' nodes of one CPU each."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cluster.local.nodes import Nodes as LocalNodes
from object_store import ObjectStore, running_store
from real_ray import ENVIRONMENT, ROOT, Cluster, wait_until

PORT = 6398
NODES = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fresh-workers", action="store_true", help="all of it with a worker group per trial")


@pytest.fixture(scope="session")
def fresh_workers(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--fresh-workers", default=False))


@dataclass
class Nodes(Cluster):
    """The cluster of cluster/local, whose nodes can be killed and joined."""

    folder: Path = Path()

    def local(self, *arguments: str) -> str:
        command = [sys.executable, str(ROOT / "cluster" / "local" / "nodes.py"), "--folder", str(self.folder)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def living(self) -> list[str]:
        """The names of the nodes beside the head."""
        return [node.name for node in LocalNodes(self.folder).nodes() if node.name != "head" and node.processes()]

    def join(self) -> str:
        return self.local("add")

    def kill(self, name: str) -> None:
        """As a power cut does."""
        self.local("kill", name)

    def whole(self) -> None:
        """Give it as many nodes as it began with."""
        while self.cpus() < NODES:
            before = self.cpus()
            self.join()
            wait_until(lambda before=before: self.cpus() > before, "the start of a node")  # type: ignore[misc]


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
