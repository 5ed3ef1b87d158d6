from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from adaptune.execution.trainer import CleanerCallback, LaneTrainer
from ray.train.v2._internal.callbacks import placement_group_callback as rays

from adaptune.execution.orphan_cleanup import OrphanCleaner


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray Data's, of its own defaults
def test_a_trainer_has_one_cleaner_which_is_ours() -> None:
    callbacks = LaneTrainer(lambda: None)._create_default_callbacks()
    cleaners = [made for made in callbacks if isinstance(made, rays.PlacementGroupCleanerCallback)]
    assert [type(made) for made in cleaners] == [CleanerCallback]


def test_a_controller_starts_our_cleaner(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    def remote(**_: Any) -> Any:
        return lambda actor_class: started.append(actor_class) or MagicMock()

    here = SimpleNamespace(get_actor_id=lambda: "c0")
    monkeypatch.setattr(
        rays, "PlacementGroupCleaner", rays.PlacementGroupCleaner
    )  # put back afterwards
    monkeypatch.setattr(rays.ray, "remote", remote)
    monkeypatch.setattr(rays.ray.runtime_context, "get_runtime_context", lambda: here)
    CleanerCallback().after_controller_start(MagicMock())
    assert started == [OrphanCleaner]
