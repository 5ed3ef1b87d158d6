"""Two Ray nodes in network namespaces of their own, with a link between them that can be cut."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.ports import reserved_ports
from support.ray_nodes import folder_for_ray, is_up, start_head, start_node, stop_node
from support.real_ray import Cluster, evaluate, wait_until

SUBNETS = 256


@dataclass(frozen=True)
class Link:
    """A link between this network and a namespace. Its number is its own on this machine."""

    number: int

    @property
    def namespace(self) -> str:
        """The name of the network namespace at the far end."""
        return f"adaptune-{self.number}"

    @property
    def near_device(self) -> str:
        """The network interface at the near end."""
        return f"atn{self.number}"

    @property
    def far_device(self) -> str:
        """The network interface at the far end."""
        return f"atf{self.number}"

    @property
    def near_ip(self) -> str:
        """The address of the near end."""
        return f"10.77.{self.number}.1"

    @property
    def far_ip(self) -> str:
        """The address of the far end."""
        return f"10.77.{self.number}.2"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def create_namespace() -> Link:
    """Create a network namespace under a number that no other test run uses."""
    for offset in range(SUBNETS):
        link = Link((os.getpid() + offset) % SUBNETS)
        try:
            ip("netns", "add", link.namespace)
        except subprocess.CalledProcessError as error:
            if b"exists" not in error.stderr:
                raise
        else:
            return link
    raise AssertionError("all numbers of network namespaces for tests are in use")


def possible() -> bool:
    """Return whether this process may make network namespaces."""
    try:
        ip("netns", "del", create_namespace().namespace)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@dataclass(kw_only=True)
class TwoNetworks(Cluster):
    """A head without CPUs and a node of one CPU here, and a node of one CPU beyond the link."""

    link: Link
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_head(self, ports: Sequence[int], folder: Path) -> None:
        """Start the head and wait for it."""
        near_ip = f"--node-ip-address={self.link.near_ip}"
        self.processes.append(start_head(ports, folder, near_ip, "--num-cpus=0"))
        wait_until(lambda: is_up(self.address), "the start of the Ray head")

    def join_near(self) -> None:
        """Start a node on this side of the link."""
        self._join(self.link.near_ip, self.link.near_device)

    def join_far(self) -> None:
        """Start a node beyond the link."""
        prefix = ("ip", "netns", "exec", self.link.namespace)
        self._join(self.link.far_ip, self.link.far_device, *prefix)

    def wait_for_cpus(self, count: int) -> None:
        """Wait for nodes that are starting."""
        wait_until(lambda: self.cpus() == count, "the start of a node")

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Let nothing pass from here to the far node, within the context."""
        ip("route", "add", "blackhole", self.link.far_ip)
        try:
            yield
        finally:
            ip("route", "del", "blackhole", self.link.far_ip)

    def living(self) -> int:
        """Return the number of living nodes."""
        count: int = evaluate(self, "sum(node['Alive'] for node in ray.nodes())")
        return count

    def _join(self, address: str, device: str, *prefix: str) -> None:
        options = (f"--address={self.address}", f"--node-ip-address={address}", "--num-cpus=1")
        self.processes.append(start_node(*options, prefix=prefix, GLOO_SOCKET_IFNAME=device))


@contextmanager
def two_networks() -> Iterator[TwoNetworks]:
    """Yield a cluster on both sides of a link."""
    link = create_namespace()
    with reserved_ports() as ports, folder_for_ray("ray-") as folder:
        cluster = TwoNetworks(f"{link.near_ip}:{ports[0]}", link=link)
        try:
            add_link(link)
            cluster.start_head(ports, folder)
            cluster.join_near()
            cluster.wait_for_cpus(1)
            cluster.join_far()
            cluster.wait_for_cpus(2)
            yield cluster
        finally:
            for process in reversed(cluster.processes):
                stop_node(process)
            ip("netns", "del", link.namespace)  # and the link with it


def add_link(link: Link) -> None:
    """Connect this network with the namespace."""
    near, far = link.near_device, link.far_device
    ip("link", "add", near, "type", "veth", "peer", "name", far)
    ip("link", "set", far, "netns", link.namespace)
    ip("address", "add", f"{link.near_ip}/24", "dev", near)
    ip("link", "set", near, "up")
    ip("-n", link.namespace, "address", "add", f"{link.far_ip}/24", "dev", far)
    ip("-n", link.namespace, "link", "set", far, "up")
    ip("-n", link.namespace, "link", "set", "lo", "up")
