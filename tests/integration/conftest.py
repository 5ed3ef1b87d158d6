"""A Ray cluster for the integration tests: two at a time would break each other's clean-up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.ports import reserved_ports
from support.ray_nodes import folder_for_ray, is_up, start_head, stop_node, stopped_cleanly
from support.real_ray import Cluster, wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with stopped_cleanly(), reserved_ports() as ports, folder_for_ray("ray-") as folder:
        address = f"127.0.0.1:{ports[0]}"
        head = start_head(ports, folder, "--num-cpus=2")
        try:
            wait_until(lambda: is_up(address), "the start of the Ray head")
            yield Cluster(address)
        finally:
            stop_node(head)
