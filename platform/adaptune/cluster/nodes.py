"""Nodes of the Ray cluster that this process is connected to, and requests for more of them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import ray
from ray.autoscaler.sdk import request_resources
from rich.console import Console

from adaptune.cluster.placement import PlacementPlan, minimal_resources, plan_placement
from adaptune.errors import ResourceError
from adaptune.spec.resources import WorkerResources
from adaptune.spec.schema import SearchSpec

POLL_S = 1.0
REFRESH_S = 5.0
# Lower bound of the time to wait for a replacement of lost nodes, which takes a while.
LOST_NODES_TIMEOUT_S = 600.0


class NodeSelector(Protocol):
    """Conditions that a node must meet for trials to run on it."""

    @property
    def accelerator_type(self) -> str | None:
        """Ray's name of a GPU type."""

    @property
    def label_selector(self) -> dict[str, str] | None:
        """Conditions on the node's labels."""


@dataclass(frozen=True)
class ClusterNode:
    """A living node of the cluster.

    Attributes:
        node_id: Ray's id, hexadecimal.
        address: IP address.
        resources: amounts by Ray's names.
    """

    node_id: str
    address: str
    resources: Mapping[str, float]


def trial_nodes(selector: NodeSelector) -> list[ClusterNode]:
    """Return the living nodes with the requested GPU type and labels."""
    nodes = []
    for node in ray.nodes():
        resources = node["Resources"]
        if not node["Alive"] or not has_labels(node["Labels"], selector.label_selector or {}):
            continue
        gpu_type = selector.accelerator_type
        if gpu_type is None or f"accelerator_type:{gpu_type}" in resources:
            nodes.append(ClusterNode(node["NodeID"], node["NodeManagerAddress"], resources))
    return nodes


def node_resources(selector: NodeSelector) -> list[Mapping[str, float]]:
    """Return the resources of each node that trials may run on."""
    return [node.resources for node in trial_nodes(selector)]


def has_labels(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Return whether a node's labels meet a selector of `a`, `!a`, `in(a, b)` and `!in(a, b)`."""
    for key, condition in selector.items():
        values = re.findall(r"[\w.-]+", condition.removeprefix("!").removeprefix("in("))
        if (labels.get(key) in values) == condition.startswith("!"):
            return False
    return True


def wait_for_plan(spec: SearchSpec, console: Console) -> PlacementPlan:
    """Return the placement plan as soon as the cluster has the nodes for one trial.

    An autoscaler, if there is one, is asked for these nodes; `connect` withdraws the request at
    the end.

    Raises:
        ResourceError: the nodes did not join within `resources.wait_for_nodes_s`.
    """
    requested = spec.resources
    deadline = time.monotonic() + requested.wait_for_nodes_s
    message_printed = False
    request_nodes(minimal_resources(requested), 1)
    while True:
        try:
            return plan_placement(spec, node_resources(requested))
        except ResourceError as error:
            if time.monotonic() >= deadline:
                raise
            if not message_printed:
                console.print(f"waiting up to {requested.wait_for_nodes_s:g} s for nodes: {error}")
                message_printed = True
        time.sleep(POLL_S)


def request_nodes(resources: WorkerResources, trials: int) -> None:
    """Ask an autoscaler, if there is one, for the nodes of this many trials and no more."""
    bundles = [resources.bundle] * resources.workers * trials
    selectors = None
    if resources.label_selector:
        selectors = [resources.label_selector] * len(bundles)
    request_resources(bundles=bundles, bundle_label_selectors=selectors)


class ClusterCapacity:
    """The number of trials that fit on a cluster whose nodes join and leave during a search."""

    def __init__(self, plan: PlacementPlan, wait_for_nodes_s: float = 0.0) -> None:
        self.node_timeout_s = max(wait_for_nodes_s, LOST_NODES_TIMEOUT_S)
        self._plan = plan
        self._capacity = plan.max_concurrent_trials
        self._refreshed = time.monotonic()

    def __call__(self, unfinished: int) -> int:
        """Return how many trials may run at the same time.

        Args:
            unfinished: number of running and future trials; nodes for all of them are requested.
        """
        if time.monotonic() - self._refreshed >= REFRESH_S:
            self._refreshed = time.monotonic()
            # Repeated, because a request of another driver replaces ours.
            resources = self._plan.resources
            request_nodes(resources, min(self._plan.trial_limit, unfinished))
            self._capacity = self._plan.capacity(node_resources(resources))
        return self._capacity
