"""What cleans up after a Ray Train controller that was killed: a module without torch, for a process a lane."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import ray
from ray._private.state import state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.train.v2._internal.execution.controller.placement_group_cleaner import (
    PlacementGroupCleaner,
)
from ray.util.placement_group import PlacementGroup, remove_placement_group

log = logging.getLogger(__name__)


class OrphanCleaner(PlacementGroupCleaner):  # type: ignore[misc]  # Ray is untyped
    """The detached actor that removes the placement groups of a controller which died, and ends with it.

    Ray's own leaves two gaps, while workers start. It watches only once the controller tells it to: one
    whose controller is gone by then stays for as long as the cluster. And it hears of a group only once
    the workers are up: one that was made before holds its CPUs until the search ends.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.start_monitoring()

    def _cleanup_placement_group(self, placement_group: PlacementGroup | None) -> None:
        super()._cleanup_placement_group(placement_group)
        try:
            for group in placement_groups_of(self._controller_actor_id):
                remove_placement_group(group)
        except Exception:
            log.exception(
                "placement groups of %s may be left", self._controller_actor_id
            )  # but not this actor


def placement_groups_of(actor_id: str) -> Iterator[PlacementGroup]:
    """Those that the actor made and that are not removed.

    Args:
        actor_id: in hexadecimal. Ray's public tables do not say who made a group.
    """
    for row in state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(row)
        if (
            group.creator_actor_id.hex() == actor_id
            and group.state != PlacementGroupTableData.REMOVED
        ):
            yield PlacementGroup(ray.PlacementGroupID(group.placement_group_id))
