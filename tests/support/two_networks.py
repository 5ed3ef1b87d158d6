"""Two Ray nodes in network namespaces of their own, with a link between them that can be cut."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.real_ray import Cluster, evaluate, is_up, start_node, stop_node, wait_until

NEAR_IP = "10.77.31.1"
FAR_IP = "10.77.31.2"
PORT = 6397
NAMESPACE = "adaptune-far"
NEAR_LINK = "adaptune-near0"
FAR_LINK = "adaptune-far0"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def possible() -> bool:
    """Return whether this process may make network namespaces."""
    try:
        ip("netns", "add", f"{NAMESPACE}-try")
        ip("netns", "del", f"{NAMESPACE}-try")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@dataclass
class TwoNetworks(Cluster):
    """A head without CPUs and a node of one CPU here, and a node of one CPU beyond the link."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_head(self) -> None:
        """Start the head and wait for it."""
        head = start_node(
            "--head",
            f"--node-ip-address={NEAR_IP}",
            f"--port={PORT}",
            "--num-cpus=0",
            "--dashboard-host=127.0.0.1",
            "--dashboard-port=8277",
        )
        self.processes.append(head)
        wait_until(lambda: is_up(self.address), "the start of the Ray head")

    def join_near(self) -> None:
        """Start a node on this side of the link."""
        self._join(NEAR_IP, NEAR_LINK)

    def join_far(self) -> None:
        """Start a node beyond the link."""
        self._join(FAR_IP, FAR_LINK, "ip", "netns", "exec", NAMESPACE)

    def wait_for_cpus(self, count: int) -> None:
        """Wait for nodes that are starting."""
        wait_until(lambda: self.cpus() == count, "the start of a node")

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Let nothing pass from here to the far node, within the context."""
        ip("route", "add", "blackhole", FAR_IP)
        try:
            yield
        finally:
            ip("route", "del", "blackhole", FAR_IP)

    def living(self) -> int:
        """Return the number of living nodes."""
        count: int = evaluate(self, "sum(node['Alive'] for node in ray.nodes())")
        return count

    def _join(self, address: str, link: str, *prefix: str) -> None:
        options = (f"--address={self.address}", f"--node-ip-address={address}", "--num-cpus=1")
        self.processes.append(start_node(*options, prefix=prefix, GLOO_SOCKET_IFNAME=link))


@contextmanager
def two_networks() -> Iterator[TwoNetworks]:
    """Yield a cluster on both sides of a link."""
    cluster = TwoNetworks(f"{NEAR_IP}:{PORT}")
    ip("netns", "add", NAMESPACE)
    try:
        add_link()
        cluster.start_head()
        cluster.join_near()
        cluster.wait_for_cpus(1)
        cluster.join_far()
        cluster.wait_for_cpus(2)
        yield cluster
    finally:
        for process in reversed(cluster.processes):
            stop_node(process)
        ip("netns", "del", NAMESPACE)  # and the link with it


def add_link() -> None:
    """Connect this network with the namespace."""
    ip("link", "add", NEAR_LINK, "type", "veth", "peer", "name", FAR_LINK)
    ip("link", "set", FAR_LINK, "netns", NAMESPACE)
    ip("address", "add", f"{NEAR_IP}/24", "dev", NEAR_LINK)
    ip("link", "set", NEAR_LINK, "up")
    ip("-n", NAMESPACE, "address", "add", f"{FAR_IP}/24", "dev", FAR_LINK)
    ip("-n", NAMESPACE, "link", "set", FAR_LINK, "up")
    ip("-n", NAMESPACE, "link", "set", "lo", "up")
