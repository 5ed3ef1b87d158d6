from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import placement_group_callback
from ray.train.v2._internal.execution.controller import placement_group_cleaner

from adaptune.execution import orphan_cleanup
from adaptune.execution.orphan_cleanup import (
    OrphanCleaner,
    OrphanCleanerCallback,
    missing_names,
    trainer_class,
)

CONTROLLER = b"\1" * 16
OTHER = b"\2" * 16
# A run of Python in which Ray lacks something that the module imports.
DEGRADED = """
import logging, sys
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import placement_group_callback
{removal}
from adaptune.execution import orphan_cleanup
logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
[name] = orphan_cleanup.missing_names()
print(name)
for _ in range(2):
    assert orphan_cleanup.trainer_class() is TorchTrainer
"""


class Table:
    """Ray's placement groups: two of the controller, one of them removed, and one of another."""

    def get_placement_group_table(self) -> list[bytes]:
        created, removed = PlacementGroupTableData.CREATED, PlacementGroupTableData.REMOVED
        groups = [(0, CONTROLLER, created), (1, CONTROLLER, removed), (2, OTHER, created)]
        rows = []
        for number, creator, state in groups:
            row = PlacementGroupTableData(
                placement_group_id=bytes([number] * 18), creator_actor_id=creator, state=state
            )
            rows.append(row.SerializeToString())
        return rows


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the placement groups that were removed."""
    ids: list[str] = []
    state = SimpleNamespace(_connect_and_get_accessor=Table)
    monkeypatch.setattr(orphan_cleanup, "state", state)
    monkeypatch.setattr(
        orphan_cleanup, "remove_placement_group", lambda group: ids.append(group.id.hex())
    )
    return ids


@pytest.fixture
def exited(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a cleaner ends its process. Its controller is dead."""
    event = threading.Event()
    monkeypatch.setattr(placement_group_cleaner, "is_actor_alive", lambda **_: False)
    monkeypatch.setattr(OrphanCleaner, "_exit", lambda _: event.set())
    return event


@pytest.fixture(autouse=True)
def forgotten_trainer_class() -> Iterator[None]:
    trainer_class.cache_clear()
    yield
    trainer_class.cache_clear()


def start_cleaner() -> OrphanCleaner:
    return OrphanCleaner(
        controller_actor_id=CONTROLLER.hex(),
        check_interval_s=0.01,
        get_actor_timeout_s=1,
        stop_timeout=1,
    )


def test_a_cleaner_that_no_one_calls_removes_the_groups_of_its_dead_controller_and_ends(
    exited: threading.Event, removed: list[str]
) -> None:
    start_cleaner()
    assert exited.wait(timeout=10)
    assert removed == [bytes(18).hex()]


def test_a_cleaner_that_cannot_read_the_table_ends_all_the_same(
    exited: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: str) -> Any:
        raise ConnectionError

    monkeypatch.setattr(orphan_cleanup, "placement_groups_of", unreachable)
    start_cleaner()
    assert exited.wait(timeout=10)


def test_this_version_of_ray_has_all_private_names() -> None:
    assert missing_names() == []


def test_a_cleaner_does_not_import_torch() -> None:
    script = "import sys, adaptune.execution.orphan_cleanup; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray Data's, of its own defaults
def test_a_trainer_has_one_cleaner_which_is_ours() -> None:
    callbacks = trainer_class()(lambda: None)._create_default_callbacks()
    base = placement_group_callback.PlacementGroupCleanerCallback
    cleaners = [type(callback) for callback in callbacks if isinstance(callback, base)]
    assert cleaners == [OrphanCleanerCallback]


def test_a_controller_starts_our_cleaner(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    def remote(**_: Any) -> Any:
        return lambda actor_class: started.append(actor_class) or MagicMock()

    context = SimpleNamespace(get_actor_id=lambda: "c0")
    module = placement_group_callback
    # Set to itself, so that pytest restores it.
    monkeypatch.setattr(module, "PlacementGroupCleaner", module.PlacementGroupCleaner)
    monkeypatch.setattr(module.ray, "remote", remote)
    monkeypatch.setattr(module.ray.runtime_context, "get_runtime_context", lambda: context)
    OrphanCleanerCallback().after_controller_start(MagicMock())
    assert started == [OrphanCleaner]


@pytest.mark.parametrize(
    ("owner", "name", "missing"),
    [
        (TorchTrainer, "_create_default_callbacks", "TorchTrainer._create_default_callbacks"),
        (
            placement_group_cleaner.PlacementGroupCleaner,
            "start_monitoring",
            "PlacementGroupCleaner.start_monitoring",
        ),
        (
            placement_group_callback.PlacementGroupCleanerCallback,
            "after_controller_start",
            "PlacementGroupCleanerCallback.after_controller_start",
        ),
    ],
)
def test_without_one_of_its_methods_ray_cleans_up_itself_after_one_warning(
    owner: type,
    name: str,
    missing: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for base in owner.__mro__:
        if name in vars(base):
            monkeypatch.delattr(base, name)
    assert missing_names() == [missing]
    with caplog.at_level(logging.WARNING):
        assert trainer_class() is TorchTrainer
        assert trainer_class() is TorchTrainer  # of the next worker group
    [message] = caplog.messages
    assert f"lacks private names that adaptune uses ({missing})" in message
    assert "Ray's own clean-up is used" in message


def test_all_names_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphan_cleanup, "state", SimpleNamespace())
    monkeypatch.setattr(orphan_cleanup, "GlobalStateAccessor", object)
    monkeypatch.setattr(orphan_cleanup, "PlacementGroupTableData", MagicMock(spec=["REMOVED"]))
    names = [name.rpartition(".")[2] for name in missing_names()]
    assert names == [
        "_connect_and_get_accessor",
        "get_placement_group_table",
        "FromString",
        "CREATOR_ACTOR_ID_FIELD_NUMBER",
        "PLACEMENT_GROUP_ID_FIELD_NUMBER",
        "STATE_FIELD_NUMBER",
    ]


def test_a_cleaner_without_the_parameter_for_its_controller_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Cleaner:
        start_monitoring = _cleanup_placement_group = None

        def __init__(self, actor_id: str) -> None: ...

    monkeypatch.setattr(orphan_cleanup, "CleanerBase", Cleaner)
    assert missing_names() == ["Cleaner(controller_actor_id=…)"]


@pytest.mark.parametrize(
    ("removal", "name"),
    [
        ("sys.modules['ray.core.generated.gcs_pb2'] = None", "ray.core.generated.gcs_pb2"),
        ("del placement_group_callback.PlacementGroupCleaner", "PlacementGroupCleaner"),
    ],
    ids=["module", "class"],
)
def test_without_an_import_ray_cleans_up_itself_after_one_warning(removal: str, name: str) -> None:
    script = DEGRADED.format(removal=removal)
    output = subprocess.check_output([sys.executable, "-W", "ignore", "-c", script], text=True)
    missing, *warnings = output.splitlines()
    assert name in missing
    assert len(warnings) == 1
    assert f"lacks private names that adaptune uses ({missing})" in warnings[0]
