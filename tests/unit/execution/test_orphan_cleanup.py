from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.train.v2._internal.execution.controller import placement_group_cleaner as rays

from adaptune.execution import orphan_cleanup as cleaner
from adaptune.execution.orphan_cleanup import OrphanCleaner

CONTROLLER, OTHER = b"\1" * 16, b"\2" * 16


class Table:
    """Ray's placement groups: two of the controller's, one of them removed, and one of another's."""

    def get_placement_group_table(self) -> list[bytes]:
        states = (
            PlacementGroupTableData.CREATED,
            PlacementGroupTableData.REMOVED,
            PlacementGroupTableData.CREATED,
        )
        return [
            PlacementGroupTableData(
                placement_group_id=bytes([number] * 18), creator_actor_id=creator, state=state
            ).SerializeToString()
            for number, (creator, state) in enumerate(
                zip((CONTROLLER, CONTROLLER, OTHER), states, strict=True)
            )
        ]


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The groups that were removed."""
    found: list[str] = []
    monkeypatch.setattr(cleaner, "state", SimpleNamespace(_connect_and_get_accessor=Table))
    monkeypatch.setattr(
        cleaner, "remove_placement_group", lambda group: found.append(group.id.hex())
    )
    return found


@pytest.fixture
def exited(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a cleaner ends its process. Its controller is dead."""
    event = threading.Event()
    monkeypatch.setattr(rays, "is_actor_alive", lambda **_: False)
    monkeypatch.setattr(OrphanCleaner, "_exit", lambda _: event.set())
    return event


def start() -> OrphanCleaner:
    return OrphanCleaner(
        CONTROLLER.hex(), check_interval_s=0.01, get_actor_timeout_s=1, stop_timeout=1
    )


def test_a_cleaner_that_is_told_nothing_removes_its_dead_controllers_groups_and_ends(
    exited: threading.Event, removed: list[str]
) -> None:
    start()
    assert exited.wait(timeout=10)
    assert removed == [bytes(18).hex()]


def test_a_cleaner_that_cannot_ask_ends_all_the_same(
    exited: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: str) -> Any:
        raise ConnectionError

    monkeypatch.setattr(cleaner, "placement_groups_of", unreachable)
    start()
    assert exited.wait(timeout=10)


def test_ray_has_the_table_that_is_read() -> None:
    assert callable(cleaner.state._connect_and_get_accessor)
    assert hasattr(ray._raylet.GlobalStateAccessor, "get_placement_group_table")


def test_a_cleaner_takes_no_torch_with_it() -> None:
    asking = "import sys, adaptune.execution.orphan_cleanup; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", asking], text=True) == "False\n"
