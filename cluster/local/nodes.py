"""Several Ray nodes on this machine, to try out what a cluster does: a head without CPUs, and workers.

python cluster/local/nodes.py up --workers 2
python cluster/local/nodes.py kill worker-1
python cluster/local/nodes.py down

The dashboard listens on 127.0.0.1. Between its nodes Ray listens on all addresses; all of it asks for the token.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
NODE_IP = "127.0.0.2"  # for 127.0.0.1 Ray takes an address that the network can reach
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
OBJECT_STORE_BYTES = 512 * 1024**2
# Ray's metrics are for whoever asks, on all addresses: none here.
QUIET = {
    "RAY_enable_metrics_collection": "0",
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
}
NOT_OURS = ("RAY_ADDRESS", "RAY_AUTH_TOKEN")  # of another cluster, where they are set


class NodesError(Exception):
    """What the user is to read."""


@dataclass(frozen=True)
class Node:
    """A `ray start --block` process; it leads a session that holds all that it starts."""

    name: str
    pid: int
    started: str  # tells it from a later process that was given the same number

    def processes(self) -> list[int]:
        """The pids of all that is left of it, also after its leader was killed."""
        table = _process_table()
        if self.pid in table and table[self.pid][1] != self.started:
            return []
        return [pid for pid, (session, _) in table.items() if session == self.pid]


class Nodes:
    """The folder of a local cluster: its token, its nodes' pid files and logs, Ray's own files.

    Args:
        folder: short, since Ray's sockets lie in it and their paths have at most 107 bytes.
    """

    def __init__(self, folder: Path, port: int = 6399, dashboard_port: int = 8275) -> None:
        self.folder = folder
        self.port = port
        self.dashboard_port = dashboard_port
        self.token = folder / "token"
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"{NODE_IP}:{self.port}"

    def environment(self) -> dict[str, str]:
        """What whoever talks to the cluster needs in its environment."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}

    def up(self, workers: int, cpus: int) -> None:
        """Start the head and the workers, and wait until all have joined.

        Raises:
            NodesError: a cluster is up already, a port is taken, or a node did not start.
        """
        try:
            self.folder.mkdir(mode=0o700)
        except FileExistsError:
            raise NodesError(
                f"{self.folder} is there already: a cluster is up, or was; end it with `down`"
            ) from None
        try:
            _write_privately(self.token, secrets.token_hex(32))
            lines = [f"export {key}={value}\n" for key, value in self.environment().items()]
            (self.folder / "env.sh").write_text("unset RAY_AUTH_TOKEN\n" + "".join(lines))
            (self.folder / "ports").write_text(f"{self.port} {self.dashboard_port}")
            self._start(
                "head", "--head", f"--port={self.port}", "--num-cpus=0", f"--temp-dir={self.folder / 'ray'}",
                f"--dashboard-host={HOST}", f"--dashboard-port={self.dashboard_port}",
            )  # fmt: skip
            self._wait_for(1)
            for number in range(workers):  # one after another: Ray's nodes race for ports
                self.add(cpus)
                self._wait_for(2 + number)
        except BaseException:
            self.down()
            raise

    def add(self, cpus: int) -> str:
        """Start one more worker; returns its name."""
        name = f"worker-{len(list(self.folder.glob('worker-*.log'))) + 1}"
        self._start(name, f"--address={self.address}", f"--num-cpus={cpus}")
        return name

    def kill(self, name: str) -> None:
        """End a node as a power cut would."""
        for pid in self.node(name).processes():
            _signal(pid, signal.SIGKILL)

    def down(self) -> None:
        """End exactly the nodes that were started here, the head last, and remove the folder."""
        for node in sorted(self.nodes(), key=lambda node: node.name == "head"):
            _end(node)
        for child in self._children:
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def nodes(self) -> list[Node]:
        return [self.node(file.stem) for file in sorted(self.folder.glob("*.pid"))]

    def node(self, name: str) -> Node:
        """Raises: NodesError: there is no such node."""
        file = self.folder / f"{name}.pid"
        if not file.exists():
            raise NodesError(f"there is no node {name} in {self.folder}")
        pid, started = file.read_text().split()
        return Node(name, int(pid), started)

    def _start(self, name: str, *options: str) -> None:
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options,
            f"--node-ip-address={NODE_IP}", "--num-gpus=0", "--disable-usage-stats",
            f"--object-store-memory={OBJECT_STORE_BYTES}", f"--dashboard-agent-listen-port={_free_port()}",
        ]  # fmt: skip
        environment = {key: value for key, value in os.environ.items() if key not in NOT_OURS}
        environment |= self.environment() | QUIET
        # On a head without CPUs Ray would start worker processes one at a time.
        environment["RAY_worker_maximum_startup_concurrency"] = "8"
        # `down` ends all nodes: there is nowhere to go on.
        environment["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] = "0"
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(process)
        _, started = _process_table().get(process.pid, (0, "unknown"))
        (self.folder / f"{name}.pid").write_text(f"{process.pid} {started}")

    def _wait_for(self, count: int) -> None:
        """Until `count` nodes have joined."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._alive() < count:
            for node in self.nodes():
                if node.pid not in node.processes():
                    raise NodesError(f"node {node.name} ended:\n{self._end_of_log(node.name)}")
            if time.monotonic() > deadline:
                raise NodesError(f"{count} nodes were not up after {START_TIMEOUT_S:.0f} s")
            time.sleep(0.3)

    def _alive(self) -> int:
        os.environ.update(self.environment())
        for name in NOT_OURS:
            os.environ.pop(name, None)
        import ray  # reads the environment

        try:
            if not ray.is_initialized():
                ray.init(self.address, log_to_driver=False, logging_level="ERROR")
            return sum(node["Alive"] for node in ray.nodes())
        except ConnectionError:
            return 0

    def _end_of_log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]


def _end(node: Node) -> None:
    if node.pid in node.processes():
        _signal(node.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while node.processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    while left := node.processes():
        for pid in left:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.1)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _process_table() -> dict[int, tuple[int, str]]:
    """Pid → session and start time, of all processes but the dead that wait for their parent."""
    table = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            fields = (
                (entry / "stat").read_text().rpartition(")")[2].split()
            )  # proc(5), from its third field on
            if fields[0] != "Z":
                table[int(entry.name)] = (int(fields[3]), fields[19])
    return table


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _write_privately(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _reopened(folder: Path) -> Nodes:
    if not (folder / "ports").is_file() or folder.stat().st_uid != os.getuid():
        raise NodesError(f"{folder} holds no cluster of yours")
    port, dashboard_port = (folder / "ports").read_text().split()
    return Nodes(folder, int(port), int(dashboard_port))


def _describe(nodes: Nodes) -> str:
    return (
        f"{', '.join(node.name for node in nodes.nodes())} are up; in the search's shell:\n"
        f"  source {nodes.folder}/env.sh\n"
        f"  python run_search.py --space cycada.yaml --address {nodes.address}\n"
        f"dashboard: http://{HOST}:{nodes.dashboard_port}; it asks for the token in {nodes.token}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Several Ray nodes on this machine.")
    folder = Path(tempfile.gettempdir()) / f"adaptune-{os.getuid()}"
    parser.add_argument(
        "--folder", type=Path, default=folder, help="of the cluster; short (default: %(default)s)"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start a head of 0 CPUs and workers")
    up.add_argument(
        "--workers", type=int, default=2, help="nodes beside the head (default: %(default)s)"
    )
    up.add_argument("--port", type=int, default=6399)
    up.add_argument("--dashboard-port", type=int, default=8275)
    add = verbs.add_parser("add", help="start one more worker")
    for verb in (up, add):
        verb.add_argument("--cpus", type=int, default=1, help="of a worker (default: %(default)s)")
    verbs.add_parser("kill", help="end a node as a power cut would").add_argument(
        "name", help="worker-1, head, …"
    )
    verbs.add_parser("down", help="end all nodes and remove the folder")
    chosen = parser.parse_args()
    try:
        if chosen.verb == "up":
            nodes = Nodes(chosen.folder, chosen.port, chosen.dashboard_port)
            nodes.up(chosen.workers, chosen.cpus)
            print(_describe(nodes))
            return 0
        nodes = _reopened(chosen.folder)
        if chosen.verb == "add":
            print(nodes.add(chosen.cpus))
        elif chosen.verb == "kill":
            nodes.kill(chosen.name)
        else:
            nodes.down()
    except NodesError as error:
        print(f"nodes: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
