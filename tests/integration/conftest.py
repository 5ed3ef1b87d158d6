"""A Ray cluster for the integration tests: two at a time would break each other's clean-up."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ports import reserved_ports
from support.ray_nodes import is_up, start_head, stop_node, stopped_cleanly
from support.real_ray import Cluster, wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # pytest's own folders are too long for Ray's sockets.
    with (
        stopped_cleanly(),
        reserved_ports() as ports,
        tempfile.TemporaryDirectory(prefix="ray-") as folder,
    ):
        address = f"127.0.0.1:{ports[0]}"
        head = start_head(ports, Path(folder), "--num-cpus=2")
        try:
            wait_until(lambda: is_up(address), "the start of the Ray head")
            yield Cluster(address)
        finally:
            stop_node(head)
