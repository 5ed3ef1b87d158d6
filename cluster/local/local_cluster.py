"""A Ray cluster of several nodes on this machine: a head without CPUs, and workers.

nodes.py is its command line. The dashboard listens on 127.0.0.1 only. The ports between Ray's nodes
listen on all addresses and require the token.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
NODE_IP = "127.0.0.2"  # Ray replaces 127.0.0.1 with an address that the network can reach
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
OBJECT_STORE_BYTES = 512 * 1024**2
# Ray serves its metrics on all addresses and without a token.
NO_METRICS = {
    "RAY_enable_metrics_collection": "0",
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
}
OTHER_CLUSTER = ("RAY_ADDRESS", "RAY_AUTH_TOKEN")  # if set, they belong to another cluster


class LocalClusterError(Exception):
    """An error whose message is meant for the user."""


@dataclass(frozen=True)
class Node:
    """A `ray start --block` process, which leads a session with all processes that it starts."""

    name: str
    pid: int
    start_time: str  # distinguishes the process from a later one with the same pid

    def processes(self) -> list[int]:
        """Return the pids of all its processes, also those that outlived a killed leader."""
        table = _process_table()
        if self.pid in table and table[self.pid][1] != self.start_time:
            return []
        return [pid for pid, (session, _) in table.items() if session == self.pid]


class LocalCluster:
    """A cluster in a folder, which holds its token, pid files, logs and Ray's own files.

    Args:
        folder: a short path, because it contains Ray's sockets, whose paths have at most 107 bytes.
        port: the port of the head, on `NODE_IP`. The port after it is for Ray's client server.
        dashboard_port: the port of the dashboard, on `HOST`.
    """

    def __init__(self, folder: Path, port: int = 6399, dashboard_port: int = 8275) -> None:
        self.folder = folder
        self.port = port
        self.dashboard_port = dashboard_port
        self.token = folder / "token"
        self._children: list[subprocess.Popen[bytes]] = []

    @classmethod
    def open_existing(cls, folder: Path) -> LocalCluster:
        """Return the cluster that was started in `folder`.

        Raises:
            LocalClusterError: there is none, or it belongs to another user.
        """
        ports = folder / "ports"
        # Another user can guess the name of the folder and create it.
        is_own = folder.is_dir() and folder.lstat().st_uid == os.getuid()
        if not is_own or folder.is_symlink() or not ports.is_file():
            raise LocalClusterError(f"{folder} contains no cluster that you started")
        port, dashboard_port = ports.read_text().split()
        return cls(folder, int(port), int(dashboard_port))

    @property
    def address(self) -> str:
        """The address to connect to, as host:port."""
        return f"{NODE_IP}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the environment variables that a process needs to connect to the cluster."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}

    def up(self, workers: int, cpus: int) -> None:
        """Start the head and the workers, and wait until all have joined.

        Raises:
            LocalClusterError: the folder exists, a port is in use, or a node did not start.
        """
        try:
            self.folder.mkdir(mode=0o700)
        except FileExistsError:
            raise LocalClusterError(
                f"{self.folder} already exists: a cluster is running or was left behind;"
                " remove it with `down`"
            ) from None
        try:
            self._write_settings()
            self._start_head()
            self._wait_for(1)
            # Nodes that start at the same time compete for ports.
            for running in range(1, workers + 1):
                self.add(cpus)
                self._wait_for(running + 1)
        except BaseException:
            self.down()
            raise

    def add(self, cpus: int) -> str:
        """Start one more worker and return its name."""
        name = f"worker-{len(list(self.folder.glob('worker-*.log'))) + 1}"
        self._start(name, f"--address={self.address}", f"--num-cpus={cpus}")
        return name

    def kill(self, name: str) -> None:
        """Kill all processes of a node at once, as a power failure would."""
        for pid in self.node(name).processes():
            _send_signal(pid, signal.SIGKILL)

    def down(self) -> None:
        """Stop the nodes of this folder and no others, the head last, and remove the folder."""
        for node in sorted(self.nodes(), key=lambda node: node.name == "head"):
            _stop(node)
        for child in self._children:
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def nodes(self) -> list[Node]:
        """Return all nodes that were started here, also those that have ended."""
        return [self.node(file.stem) for file in sorted(self.folder.glob("*.pid"))]

    def node(self, name: str) -> Node:
        """Return the node of this name.

        Raises:
            LocalClusterError: there is no such node.
        """
        file = self.folder / f"{name}.pid"
        if not file.exists():
            raise LocalClusterError(f"there is no node {name} in {self.folder}")
        pid, start_time = file.read_text().split()
        return Node(name, int(pid), start_time)

    def _write_settings(self) -> None:
        _write_private_file(self.token, secrets.token_hex(32))
        exports = [f"export {key}={value}\n" for key, value in self.environment().items()]
        (self.folder / "env.sh").write_text("unset RAY_AUTH_TOKEN\n" + "".join(exports))
        (self.folder / "ports").write_text(f"{self.port} {self.dashboard_port}")

    def _start_head(self) -> None:
        self._start(
            "head",
            "--head",
            "--num-cpus=0",
            f"--port={self.port}",
            f"--ray-client-server-port={self.port + 1}",
            f"--temp-dir={self.folder / 'ray'}",
            f"--dashboard-host={HOST}",
            f"--dashboard-port={self.dashboard_port}",
        )

    def _start(self, name: str, *options: str) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options]
        command += [f"--node-ip-address={NODE_IP}", "--num-gpus=0", "--disable-usage-stats"]
        command += [f"--object-store-memory={OBJECT_STORE_BYTES}"]
        # By default, the following ports are the same for all nodes of a machine.
        command += ["--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0"]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=self._node_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(process)
        _, start_time = _process_table().get(process.pid, (0, "unknown"))
        (self.folder / f"{name}.pid").write_text(f"{process.pid} {start_time}")

    def _node_environment(self) -> dict[str, str]:
        variables = {key: value for key, value in os.environ.items() if key not in OTHER_CLUSTER}
        variables |= self.environment() | NO_METRICS
        # On a head without CPUs, Ray would start worker processes one at a time.
        variables["RAY_worker_maximum_startup_concurrency"] = "8"
        # `down` stops all nodes, so there is no node that work could move to.
        variables["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] = "0"
        return variables

    def _wait_for(self, count: int) -> None:
        """Wait until `count` nodes have joined."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._alive() < count:
            for node in self.nodes():
                if node.pid not in node.processes():
                    raise LocalClusterError(f"node {node.name} ended:\n{self._log_tail(node.name)}")
            if time.monotonic() > deadline:
                raise LocalClusterError(f"{count} nodes were not up after {START_TIMEOUT_S:.0f} s")
            time.sleep(0.3)

    def _alive(self) -> int:
        """Return the number of nodes that have joined."""
        os.environ.update(self.environment())
        for name in OTHER_CLUSTER:
            os.environ.pop(name, None)
        import ray  # reads the environment

        try:
            if not ray.is_initialized():
                ray.init(self.address, log_to_driver=False, logging_level="ERROR")
            return sum(node["Alive"] for node in ray.nodes())
        except ConnectionError:
            return 0

    def _log_tail(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]


def _stop(node: Node) -> None:
    if node.pid in node.processes():
        _send_signal(node.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while node.processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    while pids := node.processes():
        for pid in pids:
            _send_signal(pid, signal.SIGKILL)
        time.sleep(0.1)


def _send_signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _process_table() -> dict[int, tuple[int, str]]:
    """Return pid → (session, start time) of all processes except zombies."""
    table = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process has ended meanwhile
            status = (entry / "stat").read_text()
            fields = status.rpartition(")")[2].split()  # from the third field of proc(5)
            if fields[0] != "Z":
                table[int(entry.name)] = (int(fields[3]), fields[19])
    return table


def _write_private_file(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
