"""A Ray cluster for the integration tests: two at a time would break each other's clean-up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.real_ray import Cluster, is_up, start_node, stop_node, wait_until

PORT = 6397


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    address = f"127.0.0.1:{PORT}"
    head = start_node("--head", "--num-cpus=2", f"--port={PORT}", "--dashboard-host=127.0.0.1")
    try:
        wait_until(lambda: is_up(address), "the start of the Ray head")
        yield Cluster(address)
    finally:
        stop_node(head)
