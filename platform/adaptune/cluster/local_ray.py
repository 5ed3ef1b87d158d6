"""The private folder and the settings of a Ray cluster that runs for one local search."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adaptune.errors import AdaptuneError, ResourceError
from adaptune.signals import stop_deferred, stop_number

PREFIX = "adaptune-ray-"
METRICS_SWITCH = "RAY_enable_metrics_collection"
# Ray serves its metrics without a token. A variable that is set before asks for them.
NO_METRICS = {
    METRICS_SWITCH: "0",
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
}
MAX_SOCKET_PATH = 107 if sys.platform == "linux" else 103
REMOVAL_TIMEOUT_S = 5.0
LOCK_DELAY_S = 60.0  # a folder that is younger may not be locked yet


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new folder for Ray's sockets and logs that only this user can enter.

    Ray makes its own folders writable for everybody, and a user who can write to its sockets
    controls this user's processes. The folder is removed at the end; after an unexpected error it
    is kept until the next local search starts. So are the folders of killed searches.

    Raises:
        ResourceError: no folder can be created, or its path is too long for sockets.
    """
    parent = _parent()
    _remove_abandoned(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # mode 0700
    except OSError as error:
        raise ResourceError(
            f"cannot create a folder for Ray in {parent} ({error.strerror}): set RAY_TMPDIR to a"
            " short path"
        ) from error
    lock = _lock(folder)
    try:
        yield folder / "r"
    except Exception as error:
        is_expected = isinstance(error, AdaptuneError) or stop_number(error) is not None
        if not is_expected:
            print(f"adaptune: Ray's logs are kept in {folder} for now", file=sys.stderr)
            raise
        _remove(folder)
        raise
    except BaseException:
        _remove(folder)
        raise
    else:
        _remove(folder)
    finally:
        if lock is not None:
            os.close(lock)


def local_node_address() -> str | None:
    """Return the address for the node of a local cluster; None leaves it to Ray.

    Ray replaces 127.0.0.1 with an address that the network can reach.
    """
    if sys.platform == "linux":
        return "127.0.0.2"
    return None


def _parent() -> Path:
    """Return the folder for temporary files if its path is short enough, otherwise /tmp."""
    for parent in (os.environ.get("RAY_TMPDIR"), tempfile.gettempdir()):
        if parent and len(_longest_socket(Path(parent))) <= MAX_SOCKET_PATH:
            return Path(parent)
    return Path("/tmp")


def _longest_socket(parent: Path) -> str:
    session = f"session_2000-01-01_00-00-00_000000_{os.getpid()}"
    return str(parent / f"{PREFIX}01234567" / "r" / session / "sockets" / "dash_MetricsHead")


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < LOCK_DELAY_S:
                continue
            lock = _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder as long as this process lives; return None if another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(folder: Path) -> None:
    """Remove the folder; processes that are ending may still write to it for a moment."""
    deadline = time.monotonic() + REMOVAL_TIMEOUT_S
    with stop_deferred():
        shutil.rmtree(folder, ignore_errors=True)
        while folder.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
            shutil.rmtree(folder, ignore_errors=True)
