"""A Ray cluster of several nodes on this machine: a head without CPUs, and workers of one CPU."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cluster.local.local_cluster import LocalCluster

from support.real_ray import ROOT, Cluster, wait_until

NODES = 3
SCRIPT = ROOT / "cluster" / "local" / "nodes.py"


@dataclass
class Nodes(Cluster):
    """The cluster of cluster/local, whose nodes can be killed and joined."""

    folder: Path = Path()

    def run_script(self, *arguments: str) -> str:
        """Run a command of cluster/local/nodes.py; return its output."""
        command = [sys.executable, str(SCRIPT), "--folder", str(self.folder), *arguments]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout.strip()

    def logged(self, text: str) -> list[str]:
        """Return the lines with a text that the processes of trials have logged."""
        lines = []
        for log in (self.folder / "ray" / "session_latest" / "logs").glob("worker-*.err"):
            lines += [line for line in log.read_text().splitlines() if text in line]
        return lines

    def living(self) -> list[str]:
        """Return the names of the nodes other than the head."""
        names = []
        for node in LocalCluster(self.folder).nodes():
            if node.name != "head" and node.processes():
                names.append(node.name)
        return names

    def join(self) -> str:
        """Start one more node; return its name."""
        return self.run_script("add")

    def kill(self, name: str) -> None:
        """Kill a node, as a power failure would."""
        self.run_script("kill", name)

    def restore(self) -> None:
        """Give the cluster as many nodes as it had at the start."""
        while (cpus := self.cpus()) < NODES:
            self.join()

            def has_joined(before: float = cpus) -> bool:
                return self.cpus() > before

            wait_until(has_joined, "the start of a node")
