"""Ray nodes of the tests' own, started and stopped without touching others on this machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.real_ray import ENVIRONMENT, RAY, wait_until

# By default these ports are the same for all nodes of a machine.
FREE_PORTS = ("--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0")


@contextmanager
def folder_for_ray(prefix: str) -> Iterator[Path]:
    """Make a folder for Ray's files, and remove it afterwards.

    Its path is short because it contains sockets: pytest's own folders are too long. Some of Ray's
    processes outlive the command that started them, and write to the folder for a moment.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    try:
        yield folder
    finally:
        wait_until(lambda: _is_removed(folder), f"the removal of {folder}")


def _is_removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def start_head(ports: Sequence[int], folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start the head of a cluster of its own.

    Args:
        ports: three free ports. The first one is that of the cluster's address.
        folder: for Ray's files.
    """
    port, dashboard_port, client_port = ports[:3]
    return start_node(
        "--head",
        f"--port={port}",
        f"--dashboard-port={dashboard_port}",
        f"--ray-client-server-port={client_port}",
        "--dashboard-host=127.0.0.1",
        f"--temp-dir={folder}",
        *options,
    )


def start_node(
    *options: str, prefix: Sequence[str] = (), **environment: str
) -> subprocess.Popen[bytes]:
    """Run `ray start --block` with its processes in a group of their own.

    Args:
        prefix: command that runs it elsewhere, such as in a network namespace.
    """
    return subprocess.Popen(
        [*prefix, *RAY, "start", "--block", *FREE_PORTS, *options],
        env=ENVIRONMENT | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def stop_node(node: subprocess.Popen[bytes]) -> None:
    """Stop a node and wait for its end."""
    if node.poll() is None:
        node.send_signal(signal.SIGTERM)
        node.wait(timeout=60)


@contextmanager
def stopped_cleanly() -> Iterator[None]:
    """Let SIGTERM end the context as Ctrl-C does: `timeout` would leave a cluster behind."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def is_up(address: str) -> bool:
    """Return whether a cluster answers at the address."""
    status = [*RAY, "status", "--address", address]
    return subprocess.run(status, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0
