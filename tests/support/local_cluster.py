"""A Ray cluster of several nodes on this machine: a head without CPUs, and workers' nodes of one CPU each."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cluster.local.local_cluster import LocalCluster

from support.real_ray import ROOT, Cluster, wait_until

NODES = 3


@dataclass
class Nodes(Cluster):
    """The cluster of cluster/local, whose nodes can be killed and joined."""

    folder: Path = Path()

    def local(self, *arguments: str) -> str:
        command = [
            sys.executable,
            str(ROOT / "cluster" / "local" / "nodes.py"),
            "--folder",
            str(self.folder),
        ]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def living(self) -> list[str]:
        """The names of the nodes beside the head."""
        return [
            node.name
            for node in LocalCluster(self.folder).nodes()
            if node.name != "head" and node.processes()
        ]

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
