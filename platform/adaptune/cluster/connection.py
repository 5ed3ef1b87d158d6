"""Connection to a Ray cluster, and the token of local clusters."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import ray
from ray.autoscaler.sdk import request_resources
from ray.exceptions import AuthenticationError
from ray.job_config import JobConfig

from adaptune.cluster import worker_setup
from adaptune.cluster.local_ray import NO_METRICS, local_node_address, private_folder
from adaptune.cluster.local_resources import local_cpus
from adaptune.cluster.start_signals import handlers_restored, hangup_blocked
from adaptune.errors import ResourceError
from adaptune.signals import stop_deferred, stop_within
from adaptune.version import __version__

SHUTDOWN_TIMEOUT_S = 35.0  # less than Ray waits for a GCS that a signal has ended
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
def connect(address: str | None, name: str, *, requests_nodes: bool = True) -> Iterator[str]:
    """Connect to the cluster at `address`, or start a local one; yield the dashboard's address.

    A cluster that was started here is shut down at the end, with all its processes.

    Args:
        name: name of the search; it becomes part of Ray's namespace.
        requests_nodes: whether an autoscaler may be asked for nodes meanwhile; the request is
            withdrawn at the end.

    Raises:
        ResourceError: no cluster answers at `address`, or the token is missing or wrong.
    """
    folder_context = nullcontext() if address else private_folder()
    with folder_context as folder:
        secure_auth_token(create=not address)
        try:
            dashboard = _init_ray(address, name, folder)
            secure_auth_token()
            yield dashboard
        finally:
            with stop_deferred(), stop_within(SHUTDOWN_TIMEOUT_S):
                if address and requests_nodes:
                    with suppress(Exception):  # the cluster may be gone
                        request_resources(bundles=[])
                ray.shutdown(wait_for_processes=True)


def _init_ray(address: str | None, name: str, folder: Path | None) -> str:
    # The watcher is a process per worker group, of no use on a single machine.
    environment = ENVIRONMENT | {"RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "1" if address else "0"}
    os.environ.update(environment)
    # The dashboard shows the key `job_name` as the name of a job.
    metadata = {"adaptune": __version__, "search": name, "job_name": name}
    local_options = {}
    if not address:
        for variable, value in NO_METRICS.items():
            os.environ.setdefault(variable, value)
        local_options = {
            "num_cpus": local_cpus(),
            "include_dashboard": True,
            "dashboard_host": "127.0.0.1",
            "_node_ip_address": local_node_address(),
            "_temp_dir": str(folder),
        }
    try:
        with handlers_restored(), hangup_blocked():
            context = ray.init(
                address=address or "local",  # never a leftover cluster that Ray remembers
                job_config=JobConfig(metadata=metadata),
                namespace=f"adaptune-{name}",
                log_to_driver=False,
                runtime_env={
                    "env_vars": environment,
                    "worker_process_setup_hook": worker_setup.HOOK,
                },
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


def secure_auth_token(*, create: bool = False) -> None:
    """Make Ray's token for local clusters private: its holder can run code as this user.

    Args:
        create: whether to create a token that is missing and will be needed. Ray would write it
            with the umask's mode.
    """
    folder = Path.home() / ".ray"
    token = folder / "auth_token"
    with suppress(OSError):  # the folder belongs to somebody else
        folder.mkdir(mode=0o700, exist_ok=True)
        if create and not token.exists() and _uses_default_token():
            _create_token(token)
        token.chmod(0o600)


def _uses_default_token() -> bool:
    mode = os.environ.get("RAY_AUTH_MODE", "token")  # local clusters of Ray have one by default
    is_given = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return mode.lower() == "token" and not is_given


def _create_token(token: Path) -> None:
    """Create the file of the token, complete and private, unless another process was faster."""
    draft = token.with_name(f".{token.name}.{secrets.token_hex(4)}.part")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(file, secrets.token_hex(32).encode())
        os.fsync(file)
        with suppress(FileExistsError):
            os.link(draft, token)
    finally:
        os.close(file)
        os.unlink(draft)


def token_hint() -> str:
    """Return how to get the token that the dashboard asks for, or nothing if it does not ask."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return ""
    return " (its token: ray get-auth-token)"
