"""Two Ray nodes in network namespaces of their own, with a link between them that can be cut."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.real_ray import Cluster, answers, ask, start_node, stop_node, wait_until

HERE, THERE = "10.77.31.1", "10.77.31.2"
PORT = 6397
NAMESPACE, NEAR, FAR = "adaptune-far", "adaptune-near0", "adaptune-far0"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def possible() -> bool:
    """Whether this machine lets us make network namespaces."""
    try:
        ip("netns", "add", f"{NAMESPACE}-try")
        ip("netns", "del", f"{NAMESPACE}-try")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@dataclass
class TwoNetworks(Cluster):
    """A head without CPUs and a node of one CPU here, and a node of one CPU at the link's other end."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def join(self, *, far: bool) -> None:
        place = ["ip", "netns", "exec", NAMESPACE] if far else []
        options = [
            f"--address={self.address}",
            f"--node-ip-address={THERE if far else HERE}",
            "--num-cpus=1",
        ]
        self.processes.append(
            start_node(*options, place=place, GLOO_SOCKET_IFNAME=FAR if far else NEAR)
        )

    @contextmanager
    def cut(self) -> Iterator[None]:
        """For as long as this lasts, nothing gets from here to there."""
        ip("route", "add", "blackhole", THERE)
        try:
            yield
        finally:
            ip("route", "del", "blackhole", THERE)

    def living(self) -> int:
        found: int = ask(self, "sum(node['Alive'] for node in ray.nodes())")
        return found


@contextmanager
def two_networks() -> Iterator[TwoNetworks]:
    cluster = TwoNetworks(f"{HERE}:{PORT}")
    ip("netns", "add", NAMESPACE)
    try:
        ip("link", "add", NEAR, "type", "veth", "peer", "name", FAR)
        ip("link", "set", FAR, "netns", NAMESPACE)
        ip("address", "add", f"{HERE}/24", "dev", NEAR)
        ip("link", "set", NEAR, "up")
        ip("-n", NAMESPACE, "address", "add", f"{THERE}/24", "dev", FAR)
        ip("-n", NAMESPACE, "link", "set", FAR, "up")
        ip("-n", NAMESPACE, "link", "set", "lo", "up")
        head = [
            "--head",
            f"--node-ip-address={HERE}",
            f"--port={PORT}",
            "--num-cpus=0",
            "--dashboard-host=127.0.0.1",
        ]
        cluster.processes.append(start_node(*head, "--dashboard-port=8277"))
        wait_until(lambda: answers(cluster.address), "the Ray head's start")
        for number, far in enumerate((False, True), start=1):
            cluster.join(far=far)
            wait_until(lambda number=number: cluster.cpus() == number, "the start of a node")  # type: ignore[misc]
        yield cluster
    finally:
        for process in reversed(cluster.processes):
            stop_node(process)
        ip("netns", "del", NAMESPACE)  # and the link with it
