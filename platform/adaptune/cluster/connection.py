"""Connection to a Ray cluster, and redirection of Ray's output to a log file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import ray
from ray.autoscaler.sdk import request_resources
from ray.exceptions import AuthenticationError
from rich.console import Console

from adaptune.cluster import worker_setup
from adaptune.cluster.local_resources import local_cpus
from adaptune.errors import ResourceError

# Set before Ray reads them, here and (through the environment) in every process it starts.
ENVIRONMENT = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",  # the dashboard's Train page
    "RAY_TRAIN_ENABLE_NCCL_HANG_DETECTOR": "1",
    "RAY_TRAIN_NCCL_RAS_ACTION": "fail",  # Ray would only log a hang
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # we write the tables and TensorBoard events
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial's last result has no metric
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # nothing of Tune's is read back
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we handle Ctrl-C
}


@contextmanager
def redirect_output(log: Path) -> Iterator[Console]:
    """Append everything that this process prints to `log`, except for the yielded console."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = os.dup(1)
    errors = os.dup(2)
    with log.open("a", encoding="utf-8") as file, _screen() as console:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield console
        finally:
            _flush_or_drop()
            os.dup2(terminal, 1)
            os.dup2(errors, 2)
            os.close(terminal)
            os.close(errors)


@contextmanager
def _screen() -> Iterator[Console]:
    """Yield a console on what standard output is now."""
    if not _stdout_is_a_file_descriptor():  # a notebook's, for example
        yield _plain_console(sys.stdout)
        return
    is_terminal = os.isatty(1)
    with os.fdopen(os.dup(1), "w", 1, encoding="utf-8") as screen:
        yield _plain_console(screen, force_terminal=is_terminal)


def _plain_console(file: TextIO, *, force_terminal: bool | None = None) -> Console:
    # Error texts and paths may contain brackets, which must not be taken for markup.
    return Console(
        file=file,
        force_terminal=force_terminal,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


def _stdout_is_a_file_descriptor() -> bool:
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), 1)
    except (OSError, ValueError, AttributeError):
        return False


def _flush_or_drop() -> None:
    """Empty Python's buffers into the log; a full disk must not send them to the terminal."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "w") as devnull:
                os.dup2(devnull.fileno(), stream.fileno())
                stream.flush()


@contextmanager
def connect(address: str | None, name: str, *, requests_nodes: bool = True) -> Iterator[str]:
    """Connect to the cluster at `address`, or start a local one; yield the dashboard's address.

    A cluster that was started here is shut down at the end.

    Args:
        name: name of the search; it becomes part of Ray's namespace.
        requests_nodes: whether an autoscaler may be asked for nodes meanwhile; the request is
            withdrawn at the end.

    Raises:
        ResourceError: no cluster answers at `address`, or the token is missing or wrong.
    """
    secure_auth_token()
    dashboard = _init_ray(address, name)
    secure_auth_token()
    try:
        yield dashboard
    finally:
        if address and requests_nodes:
            with suppress(Exception):  # the cluster may be gone
                request_resources(bundles=[])
        ray.shutdown()


def _init_ray(address: str | None, name: str) -> str:
    # The watcher is a process per worker group, of no use on a single machine.
    environment = ENVIRONMENT | {"RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "1" if address else "0"}
    os.environ.update(environment)
    local_options = {}
    if not address:
        local_options = {
            "num_cpus": local_cpus(),
            "include_dashboard": True,
            "dashboard_host": "127.0.0.1",
        }
    try:
        context = ray.init(
            address=address or "local",  # never a leftover cluster that Ray remembers
            namespace=f"adaptune-{name}",
            log_to_driver=False,
            runtime_env={"env_vars": environment, "worker_process_setup_hook": worker_setup.HOOK},
            **local_options,
        )
    except ConnectionError as error:
        raise ResourceError(
            f"no Ray cluster answers at {address}: {error}. A cluster that needs a token gives the"
            " same error: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN)"
        ) from error
    except AuthenticationError as error:  # a variable left from an earlier cluster, for example
        raise ResourceError(f"Ray refused the token: {error}") from error
    return str(context.dashboard_url or "")


def secure_auth_token() -> None:
    """Make Ray's token for local clusters private: its holder can run code as this user."""
    folder = Path.home() / ".ray"
    with suppress(OSError):  # the folder belongs to somebody else
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "auth_token").chmod(0o600)


def token_hint() -> str:
    """Return how to get the token that the dashboard asks for, or nothing if it does not ask."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return ""
    return " (its token: ray get-auth-token)"
