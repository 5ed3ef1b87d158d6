"""A Ray cluster of several nodes on this machine: a head without CPUs, and workers' nodes of one CPU each."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from real_ray import Cluster, answers, start_node, stop_node, wait_until

PORT = 6398


@dataclass
class Nodes(Cluster):
    """A cluster whose nodes of one CPU can be killed and joined."""

    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def join(self) -> None:
        self.workers.append(start_node(f"--address={self.address}", "--num-cpus=1"))

    def kill(self, number: int) -> None:
        """As a power cut does."""
        node = self.workers.pop(number)
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    cluster = Nodes(f"127.0.0.1:{PORT}")
    head = start_node("--head", "--num-cpus=0", f"--port={PORT}", "--dashboard-host=127.0.0.1")
    try:
        wait_until(lambda: answers(cluster.address), "the Ray head's start")
        for _ in range(3):
            cluster.join()
        wait_until(lambda: cluster.cpus() == 3, "the start of three nodes")
        yield cluster
    finally:
        for node in (*cluster.workers, head):
            stop_node(node)
