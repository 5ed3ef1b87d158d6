"""The `resources` section, and the resources of one trial once they are resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from adaptune.spec.base import Count, Section

Execution = Literal["ray_train", "in_process"]
EPOCH_TIMEOUT_S = 1200.0
_ACCELERATOR_SHARE = 0.001  # of the resource that marks a node's type of GPU


class ResourcesSpec(Section):
    """The resources of a trial, and how many trials run at a time."""

    workers_per_trial: Literal["auto"] | Count = Field(
        default="auto",
        description="Workers per trial; a number must divide `training.batch_size`. `auto`: one,"
        " or more if there are fewer trials than GPUs or CPUs.",
    )
    cpus_per_worker: Count = Field(default=1, description="CPUs, and threads, per worker.")
    gpus_per_worker: Literal["auto"] | Annotated[float, Field(ge=0)] = Field(
        default="auto",
        description="GPUs per worker; a fraction shares a GPU between trials. `auto`: 1 if the"
        " cluster has a GPU, otherwise 0.",
    )
    accelerator_type: str | None = Field(
        default=None, description="Ray's name of the GPU to run on, such as `A100`."
    )
    label_selector: dict[str, str] | None = Field(
        default=None, description="Ray labels of the nodes to run on."
    )
    placement_strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = Field(
        default="PACK",
        description="Ray's strategy for placing the workers of one trial on nodes.",
    )
    max_concurrent: Literal["auto"] | Count = Field(
        default="auto",
        description="Largest number of trials at a time. `auto`: as many as fit.",
    )
    reuse_workers: bool = Field(
        default=True,
        description="Let a worker group train one trial after another. New workers per trial"
        " isolate trials from each other, at about 10 s per trial.",
    )
    wait_for_nodes_s: Annotated[float, Field(ge=0)] = Field(
        default=0.0,
        description="Seconds to wait for the nodes that the first trial needs. For lost nodes,"
        " the search waits at least ten minutes.",
    )
    epoch_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=EPOCH_TIMEOUT_S,
        description="Seconds without a finished epoch after which the processes of a trial are"
        " replaced, and the trial resumes from its last checkpoint. Ten times the slowest epoch so"
        " far is allowed in any case, and five minutes more for the start of the processes.",
    )


@dataclass(frozen=True)
class WorkerResources:
    """The resources of the worker group of one trial, with nothing left to decide.

    Attributes:
        workers: workers per trial.
        accelerator_type: Ray's name of the GPU to run on; None for any node.
        label_selector: Ray labels of the nodes to run on; None for any node.
        placement_strategy: Ray's strategy for placing the workers on nodes.
    """

    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    accelerator_type: str | None = None
    label_selector: dict[str, str] | None = None
    placement_strategy: str = "PACK"

    @property
    def device_share(self) -> float:
        """Part of its device that a worker may use, in (0, 1]."""
        return min(self.gpus_per_worker, 1.0) or 1.0

    @property
    def bundle(self) -> dict[str, float]:
        """Resources of one worker, by Ray's names."""
        bundle = {"CPU": float(self.cpus_per_worker)}
        if self.gpus_per_worker:
            bundle["GPU"] = self.gpus_per_worker
        if self.accelerator_type is not None:
            bundle[f"accelerator_type:{self.accelerator_type}"] = _ACCELERATOR_SHARE
        return bundle
