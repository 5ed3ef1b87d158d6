"""A search as `make search` starts it: local Ray with a token, in a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from support.real_ray import SEARCH_TIMEOUT_S, search_command, tail, wait_until

TRIALS = 2
PHASE_TIMEOUT_S = 240.0
CLEANUP_TIMEOUT_S = 20.0
CLUSTER_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS")


class LocalSearch:
    """A small search on Ray of its own.

    Args:
        folder: a short path; it gets the results, Ray's folder and the home with the token.
        settings: override keys, with `__` for a dot.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.results = folder / "s"
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self.temporary = folder / "t"
        self.temporary.mkdir(exist_ok=True)
        self.settings = settings
        self._seen: dict[int, psutil.Process] = {}

    def start(self, *extra: str, ignored: signal.Signals | None = None) -> None:
        """Start the driver as the leader of a session.

        Args:
            ignored: a signal that it ignores from the start, as under `nohup`.
        """
        environment = {
            key: value for key, value in os.environ.items() if key not in CLUSTER_VARIABLES
        }
        environment |= {"HOME": str(self.home), "RAY_TMPDIR": str(self.temporary)}
        trap = f"trap '' {ignored.name.removeprefix('SIG')};" if ignored else ""
        out, name = self.results.parent, self.results.name
        command = search_command(out, name, "--trials", str(TRIALS), *extra, **self.settings)
        self.driver = subprocess.Popen(
            ["sh", "-c", f'{trap} exec "$@"', "sh", *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, happened: Callable[[], object], event: str) -> None:
        """Wait for an event while the driver runs, and remember its processes."""

        def is_over() -> bool:
            self.note_processes()
            assert self.driver.poll() is None, tail(self.results / "ray.log")
            return bool(happened())

        try:
            wait_until(is_over, event, PHASE_TIMEOUT_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; ray.log:\n{tail(self.results / 'ray.log')}") from None
        self.note_processes()

    def note_processes(self) -> list[psutil.Process]:
        """Return the driver and all processes below it that run now, and remember them."""
        with suppress(psutil.NoSuchProcess):
            driver = psutil.Process(self.driver.pid)
            for process in (driver, *driver.children(recursive=True)):
                self._seen.setdefault(process.pid, process)
        return [process for process in self._seen.values() if _is_running(process)]

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit status, standard output and standard error."""
        out, err = self.driver.communicate(timeout=SEARCH_TIMEOUT_S)
        return self.driver.returncode, out, err

    def leaves_nothing(self) -> None:
        """Check that all processes end soon, and that no folder of Ray's is left."""
        deadline = time.monotonic() + CLEANUP_TIMEOUT_S
        while left := self._remaining():
            assert time.monotonic() < deadline, left
            time.sleep(0.2)
        assert list(self.temporary.iterdir()) == []

    def kill(self) -> None:
        """Kill what a failed test left, and close the pipes."""
        for process in self._seen.values():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.driver.wait()
        for stream in (self.driver.stdout, self.driver.stderr):
            if stream is not None:
                stream.close()

    def has_connected(self) -> bool:
        """Return whether Ray has its sockets."""
        return any(self.temporary.glob("*/r/session_*/sockets/raylet"))

    def has_splits(self) -> bool:
        """Return whether the split is recorded, after which f_S is trained."""
        return (self.results / "splits.parquet").exists()

    def has_epoch(self) -> bool:
        """Return whether the study has an epoch."""
        journal = self.results / "study.journal"
        return journal.exists() and '"epoch:1"' in journal.read_text()

    def _remaining(self) -> list[psutil.Process]:
        """Return processes of this search: those seen, and those of its session."""
        remaining = [process for process in self._seen.values() if _is_running(process)]
        for process in psutil.process_iter():
            with suppress(OSError, psutil.NoSuchProcess):
                is_own = os.getsid(process.pid) == self.driver.pid
                if is_own and process not in remaining and _is_running(process):
                    remaining.append(process)
        return remaining


def _is_running(process: psutil.Process) -> bool:
    try:
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return process.is_running() and not is_zombie
    except psutil.NoSuchProcess:
        return False
