"""Joining or starting Ray, and keeping its chatter out of the terminal."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray.autoscaler.sdk import request_resources
from ray.exceptions import AuthenticationError
from rich.console import Console

from adaptune.cluster import worker_setup
from adaptune.cluster.placement import PlacementPlan, accelerator, plan_placement, wanted_bundles
from adaptune.errors import ResourceError
from adaptune.spec.schema import ResourcesSpec, SearchSpec

POLL_S = 1.0
LOOK_EVERY_S = 5.0
LOST_NODES_PATIENCE_S = 600.0  # the least: a lost node's place is taken by another, but not at once

# Set before Ray reads them, here and (through the environment) in every process it starts.
ENVIRONMENT = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",  # the dashboard's Train page
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the study, the tables and TensorBoard are ours
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial's last result has no metric
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # nothing of Tune's is read back
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours to handle
}


@contextmanager
def redirect_output(log: Path) -> Iterator[Console]:
    """Send all that this process prints to `log`, but for the console that is yielded."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal, errors = os.dup(1), os.dup(2)
    with (
        log.open("a", encoding="utf-8") as file,
        os.fdopen(os.dup(1), "w", 1, encoding="utf-8") as screen,
    ):
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield Console(file=screen, force_terminal=os.isatty(terminal))
        finally:
            _flush_or_drop()
            os.dup2(terminal, 1)
            os.dup2(errors, 2)
            os.close(terminal)
            os.close(errors)


def _flush_or_drop() -> None:
    """Empty Python's buffers into the log; what a full disk does not take is dropped, lest the terminal get it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
                stream.flush()


@contextmanager
def joined(address: str | None, name: str, *, asks: bool = True) -> Iterator[str]:
    """A connection to the cluster at `address`, or to a new local one; yields the dashboard's URL.

    A cluster that we started is shut down at the end.

    Args:
        asks: an autoscaler may be asked for nodes meanwhile: what was asked for is taken back at the end.

    Raises:
        ResourceError: there is no cluster at `address`, or not for this token; or there is no token where one
            should be.
    """
    # A process a lane, for which there is no use where the only machine is this one.
    environment = ENVIRONMENT | {"RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "1" if address else "0"}
    os.environ.update(environment)
    secure_auth_token()
    try:
        context = ray.init(
            address=address or "local",  # never a leftover cluster that Ray remembers
            namespace=f"adaptune-{name}",
            log_to_driver=False,
            runtime_env={"env_vars": environment, "worker_process_setup_hook": worker_setup.HOOK},
            **({} if address else {"include_dashboard": True, "dashboard_host": "127.0.0.1"}),
        )
    except ConnectionError as error:
        raise ResourceError(
            f"no Ray cluster answers at {address}: {error}. One that asks for a token looks the same: for it,"
            " set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN)"
        ) from error
    except AuthenticationError as error:  # a variable that an earlier cluster has left, say
        raise ResourceError(f"Ray and its token: {error}") from error
    secure_auth_token()
    try:
        yield context.dashboard_url or ""
    finally:
        if address and asks:
            with suppress(Exception):  # the cluster may be gone
                request_resources(bundles=[])
        ray.shutdown()


def secure_auth_token() -> None:
    """Let nobody else read the token that Ray makes for local clusters: whoever has it can run code as this user."""
    folder = Path.home() / ".ray"
    with suppress(OSError):  # none of ours
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "auth_token").chmod(0o600)


def node_resources(wish: ResourcesSpec) -> list[dict[str, float]]:
    """The resources of each node that trials may run on."""
    return [node["Resources"] for node in trial_nodes(wish)]


def trial_nodes(wish: ResourcesSpec) -> list[dict[str, Any]]:
    """The living nodes of this process's cluster that have the wished GPU and labels, as Ray describes them."""
    needed = set() if wish.accelerator_type is None else {accelerator(wish.accelerator_type)}
    return [
        node
        for node in ray.nodes()
        if node["Alive"]
        and needed <= node["Resources"].keys()
        and has_labels(node["Labels"], wish.label_selector or {})
    ]


def has_labels(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether Ray places there what has this selector, of conditions `a`, `!a`, `in(a, b)` and `!in(a, b)`."""
    for key, condition in selector.items():
        values = re.findall(r"[\w.-]+", condition.removeprefix("!").removeprefix("in("))
        if (labels.get(key) in values) == condition.startswith("!"):
            return False
    return True


def wait_for_plan(spec: SearchSpec, console: Console, address: str | None = None) -> PlacementPlan:
    """The plan for the cluster, once it has the nodes for a trial.

    An autoscaler, where there is one, is asked for those of a trial; it is told when we leave.

    Args:
        address: of a cluster that was there before us.

    Raises:
        ResourceError: it has not within `resources.wait_for_nodes_s`.
    """
    patience_s = spec.resources.wait_for_nodes_s
    deadline = time.monotonic() + patience_s
    waiting = False
    request_nodes(spec.resources, 1)
    while True:
        try:
            return plan_placement(spec, node_resources(spec.resources), own=address is None)
        except ResourceError as error:
            if time.monotonic() >= deadline:
                raise
            if not waiting:
                console.print(f"waiting up to {patience_s:g} s for nodes: {error}", highlight=False)
                waiting = True
        time.sleep(POLL_S)


def request_nodes(wish: ResourcesSpec, trials: int) -> None:
    """Tell an autoscaler, where there is one, to have nodes for so many trials, and for no more."""
    wanted, labels = wanted_bundles(wish, trials), wish.label_selector
    request_resources(
        bundles=wanted, bundle_label_selectors=[labels] * len(wanted) if labels else None
    )


class ClusterCapacity:
    """How many trials fit on the cluster: nodes may join and leave while a search runs, and are asked for."""

    def __init__(self, spec: SearchSpec, plan: PlacementPlan) -> None:
        # What a trial is made of stays as the search began with it.
        resources = {"workers_per_trial": plan.workers, "gpus_per_worker": plan.gpus_per_worker}
        self._spec = spec.model_copy(
            update={"resources": spec.resources.model_copy(update=resources)}
        )
        self._known = plan.concurrency
        self._looked = time.monotonic()

    def __call__(self, unfinished: int) -> int:
        """How many may run at a time.

        Args:
            unfinished: trials that are under way or to come. Nodes for all of these are asked for.
        """
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self._looked = time.monotonic()
            request_nodes(
                self._spec.resources, unfinished
            )  # again: another driver's word may have replaced ours
            try:
                self._known = plan_placement(
                    self._spec, node_resources(self._spec.resources)
                ).concurrency
            except ResourceError:  # nodes are gone: trials wait for others
                self._known = 0
        return self._known


def lost_nodes_patience_s(spec: SearchSpec) -> float:
    """How long to wait for a node where there were some."""
    return max(spec.resources.wait_for_nodes_s, LOST_NODES_PATIENCE_S)


def wait_for_tasks(tasks: list[Any], spec: SearchSpec, plan: PlacementPlan) -> list[Any]:
    """What the tasks return. They may take as long as they like, but not wait for ever for a node.

    Raises:
        ResourceError: the cluster has had none for a trial for `resources.wait_for_nodes_s`, and for ten minutes.
    """
    capacity, patience_s = ClusterCapacity(spec, plan), lost_nodes_patience_s(spec)
    starved_since: float | None = None
    pending = tasks
    while pending:
        _, pending = ray.wait(pending, num_returns=len(pending), timeout=LOOK_EVERY_S)
        now = time.monotonic()
        starved_since = None if capacity(1) or not pending else starved_since or now
        if starved_since is not None and now - starved_since > patience_s:
            raise ResourceError(
                f"no node has had room for a trial for {patience_s:g} s; --resume goes on"
            )
    found: list[Any] = ray.get(tasks)
    return found


def token_hint() -> str:
    """How to get past the dashboard's question, where it asks one."""
    return " (its token: ray get-auth-token)" if is_token_auth_enabled() else ""
