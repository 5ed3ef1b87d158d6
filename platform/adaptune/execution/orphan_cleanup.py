"""Removal of what a killed Ray Train controller leaves behind.

This is the only module that uses private names of Ray. If a version of Ray lacks one of them,
`trainer_class` logs one warning and returns Ray's own TorchTrainer: training is the same, but a
controller that is killed within about a second of its start may leave a placement group or a
cleaner actor on the cluster.

The module does not import torch: the cleaner is a process of its own per worker group.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import ray
from ray.util.placement_group import PlacementGroup, remove_placement_group

if TYPE_CHECKING:
    from ray.train.torch import TorchTrainer

log = logging.getLogger(__name__)

try:
    from ray._private.state import state
    from ray._raylet import GlobalStateAccessor  # type: ignore[attr-defined]
    from ray.core.generated.gcs_pb2 import PlacementGroupTableData
    from ray.train.v2._internal.callbacks import placement_group_callback

    CleanerBase: Any = placement_group_callback.PlacementGroupCleaner
    CallbackBase: Any = placement_group_callback.PlacementGroupCleanerCallback
    _import_error = ""
except (ImportError, AttributeError) as error:
    state = GlobalStateAccessor = PlacementGroupTableData = placement_group_callback = None
    CleanerBase = CallbackBase = object
    _import_error = str(error)

# Names that are used here beyond the imports above.
_CLEANER_NAMES = ("start_monitoring", "_cleanup_placement_group")
_CALLBACK_NAMES = ("after_controller_start",)
_STATE_NAMES = ("_connect_and_get_accessor",)
_ACCESSOR_NAMES = ("get_placement_group_table",)
_TABLE_NAMES = (
    "FromString",
    "REMOVED",
    "CREATOR_ACTOR_ID_FIELD_NUMBER",
    "PLACEMENT_GROUP_ID_FIELD_NUMBER",
    "STATE_FIELD_NUMBER",
)
_TRAINER_NAMES = ("_create_default_callbacks",)
_CONTROLLER_PARAMETER = "controller_actor_id"  # of the cleaner


class OrphanCleaner(CleanerBase):  # type: ignore[misc]
    """Detached actor that removes the placement groups of a dead controller, and then ends.

    Ray's own cleaner leaves two gaps while workers start. It watches the controller only once the
    controller calls it a second time: if the controller dies before, the cleaner stays as long as
    the cluster. And it learns of a placement group only once the workers are up: a group that was
    created before holds its CPUs until the driver ends.
    """

    def __init__(self, controller_actor_id: str, **options: object) -> None:
        super().__init__(controller_actor_id=controller_actor_id, **options)
        self._creator_id = controller_actor_id
        self.start_monitoring()

    def _cleanup_placement_group(self, placement_group: PlacementGroup | None) -> None:
        super()._cleanup_placement_group(placement_group)
        try:
            for group in placement_groups_of(self._creator_id):
                remove_placement_group(group)
        except Exception:  # a placement group may stay, but this actor must end
            log.exception("placement groups of %s may be left", self._creator_id)


class OrphanCleanerCallback(CallbackBase):  # type: ignore[misc]
    """Ray Train's callback, with `OrphanCleaner` instead of Ray's cleaner."""

    def after_controller_start(self, train_run_context: object) -> None:
        """Start the cleaner; called in the controller's process."""
        # Ray's callback takes the class from this name of its module.
        placement_group_callback.PlacementGroupCleaner = OrphanCleaner
        super().after_controller_start(train_run_context)


def placement_groups_of(actor_id: str) -> Iterator[PlacementGroup]:
    """Yield the placement groups that an actor created and that are not removed.

    Ray's public tables do not tell who created a group.

    Args:
        actor_id: hexadecimal.
    """
    for row in state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(row)
        if group.state == PlacementGroupTableData.REMOVED:
            continue
        if group.creator_actor_id.hex() == actor_id:
            yield PlacementGroup(ray.PlacementGroupID(group.placement_group_id))


def missing_names() -> list[str]:
    """Return the private names that this version of Ray lacks."""
    from ray.train.torch import TorchTrainer

    if _import_error:
        return [_import_error]
    required = (
        (CleanerBase, _CLEANER_NAMES),
        (CallbackBase, _CALLBACK_NAMES),
        (state, _STATE_NAMES),
        (GlobalStateAccessor, _ACCESSOR_NAMES),
        (PlacementGroupTableData, _TABLE_NAMES),
        (TorchTrainer, _TRAINER_NAMES),
    )
    missing = []
    for owner, names in required:
        owner_name = getattr(owner, "__name__", type(owner).__name__)
        missing += [f"{owner_name}.{name}" for name in names if not hasattr(owner, name)]
    if _CONTROLLER_PARAMETER not in inspect.signature(CleanerBase).parameters:
        missing.append(f"{CleanerBase.__name__}({_CONTROLLER_PARAMETER}=…)")
    return missing


@cache  # for one warning per process
def trainer_class() -> type[TorchTrainer]:
    """Return the TorchTrainer whose controller starts an `OrphanCleaner`, or Ray's own."""
    from ray.train.torch import TorchTrainer

    missing = missing_names()
    if missing:
        log.warning(
            "Ray %s lacks private names that adaptune uses (%s). Ray's own clean-up is used: a"
            " controller that is killed while its workers start may leave a placement group.",
            ray.__version__,
            ", ".join(missing),
        )
        return TorchTrainer  # type: ignore[no-any-return]

    class CleanedTorchTrainer(TorchTrainer):  # type: ignore[misc]
        def _create_default_callbacks(self) -> list[object]:
            callbacks = []
            for callback in super()._create_default_callbacks():
                if type(callback) is CallbackBase:
                    callback = OrphanCleanerCallback()  # noqa: PLW2901
                callbacks.append(callback)
            return callbacks

    return CleanedTorchTrainer
