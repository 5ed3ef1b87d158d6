"""Ray's TorchTrainer, with nothing of it left behind when its controller is killed."""

from __future__ import annotations

from typing import Any

from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import placement_group_callback as rays

from adaptune.execution.orphan_cleanup import OrphanCleaner


class LaneTrainer(TorchTrainer):  # type: ignore[misc]  # Ray is untyped
    """A TorchTrainer whose controller gets a `OrphanCleaner`."""

    def _create_default_callbacks(self) -> list[Any]:
        made = super()._create_default_callbacks()
        return [
            CleanerCallback() if type(one) is rays.PlacementGroupCleanerCallback else one
            for one in made
        ]


class CleanerCallback(rays.PlacementGroupCleanerCallback):  # type: ignore[misc]
    """Ray's, with another cleaner."""

    def after_controller_start(self, train_run_context: Any) -> None:
        rays.PlacementGroupCleaner = (
            OrphanCleaner  # it is made by that name, in the controller's own process
        )
        super().after_controller_start(train_run_context)
