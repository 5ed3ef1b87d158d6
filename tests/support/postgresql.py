"""A PostgreSQL server on loopback, and a proxy in front of it that can be cut."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from support.ports import reserved_ports

_UNPRIVILEGED = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def find_binaries() -> Path | None:
    """The folder of PostgreSQL's programs, or None if it is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = shutil.which("initdb")
    if path is not None:
        folders.insert(0, Path(path).resolve().parent)
    return folders[0] if folders else None


class Proxy:
    """Forwards connections to a port; while it is cut, it accepts none and drops the present ones.

    While it is stalled, it forwards nothing, as a network does that loses all packets.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._is_cut = False
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._is_cut = True
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def restore(self) -> None:
        self._is_cut = False
        self._flows.set()

    def stall(self) -> None:
        self._flows.clear()

    def close(self) -> None:
        self.cut()
        self._flows.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target_port))
            self._sockets += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while body := source.recv(65536):
                self._flows.wait()
                sink.sendall(body)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()


@contextmanager
def running_postgresql(binaries: Path) -> Iterator[int]:
    """Run a server without passwords; yield its port."""
    folder = Path(mkdtemp(prefix="pg-"))
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        prefix = _UNPRIVILEGED
        shutil.chown(folder, "nobody", "nogroup")
    data = folder / "data"
    subprocess.run(
        [*prefix, binaries / "initdb", "-D", data, "-U", "tester", "--auth=trust", "--no-sync"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    control = [*prefix, binaries / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    with reserved_ports() as ports:
        port = ports[0]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL)
        try:
            yield port
        finally:
            stop = [*control, "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL)
            shutil.rmtree(folder)
