from __future__ import annotations

import threading
from typing import Any

import pytest
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import placement_group_cleaner as rays

from adaptune.execution import trainer
from adaptune.execution.trainer import LaneCleaner, LaneTrainer


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray Data's, of its own defaults
def test_a_trainer_has_one_cleaner_which_is_ours() -> None:
    callbacks = LaneTrainer(lambda: None)._create_default_callbacks()
    cleaners = [made for made in callbacks if isinstance(made, PlacementGroupCleanerCallback)]
    assert [type(made) for made in cleaners] == [trainer._Callback]


@pytest.fixture
def exited(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a cleaner ends its process. Its controller is dead."""
    event = threading.Event()
    monkeypatch.setattr(rays, "is_actor_alive", lambda **_: False)
    monkeypatch.setattr(LaneCleaner, "_exit", lambda _: event.set())
    return event


def cleaner() -> LaneCleaner:
    return LaneCleaner("c0", check_interval_s=0.01, get_actor_timeout_s=1, stop_timeout=1)


def test_a_cleaner_that_is_told_nothing_ends_when_its_controller_is_dead(
    exited: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "placement_groups_of", lambda _: iter(()))
    cleaner()
    assert exited.wait(timeout=10)


def test_a_cleaner_removes_groups_that_it_never_heard_of(
    exited: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Any] = []
    monkeypatch.setattr(trainer, "placement_groups_of", lambda actor_id: iter([f"group of {actor_id}"]))
    monkeypatch.setattr(trainer, "remove_placement_group", removed.append)
    cleaner()
    assert exited.wait(timeout=10)
    assert removed == ["group of c0"]


def test_a_cleaner_that_cannot_ask_ends_all_the_same(exited: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: str) -> None:
        raise ConnectionError

    monkeypatch.setattr(trainer, "placement_groups_of", unreachable)
    cleaner()
    assert exited.wait(timeout=10)
