"""Joining or starting Ray, and keeping its chatter out of the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from rich.console import Console

from adaptune.errors import ResourceError

# Set before Ray reads them, here and (through the environment) in every process it starts.
ENVIRONMENT = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",  # the dashboard's Train page
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process a lane, and nothing listens to it yet
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the study, the tables and TensorBoard are ours
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial's last result has no metric
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # nothing of Tune's is read back
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours to handle
}


@contextmanager
def chatter_to(log: Path) -> Iterator[Console]:
    """Send all that this process prints to `log`, but for the console that is yielded."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal, errors = os.dup(1), os.dup(2)
    with log.open("a", encoding="utf-8") as file, os.fdopen(os.dup(1), "w", 1, encoding="utf-8") as screen:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield Console(file=screen, force_terminal=os.isatty(terminal))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(terminal, 1)
            os.dup2(errors, 2)
            os.close(terminal)
            os.close(errors)


@contextmanager
def joined(address: str | None, name: str) -> Iterator[str]:
    """A connection to the cluster at `address`, or to a new local one; yields the dashboard's URL.

    A cluster that we started is shut down at the end.

    Raises:
        ResourceError: there is no cluster at `address`, or not for this token.
    """
    os.environ.update(ENVIRONMENT)
    try:
        context = ray.init(
            address=address or "local",  # never a leftover cluster that Ray remembers
            namespace=f"adaptune-{name}",
            log_to_driver=False,
            runtime_env={"env_vars": ENVIRONMENT},
            **({} if address else {"include_dashboard": True, "dashboard_host": "127.0.0.1"}),
        )
    except ConnectionError as error:
        raise ResourceError(
            f"no Ray cluster answers at {address}: {error}. One that asks for a token looks the same: for it,"
            " set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN)"
        ) from error
    try:
        yield context.dashboard_url or ""
    finally:
        ray.shutdown()
