"""The resources section, and what one trial's workers take of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Execution = Literal["ray_train", "in_process"]


@dataclass(frozen=True)
class WorkerResources:
    """Resources of a trial's worker group, with every `auto` resolved."""

    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    accelerator_type: str | None = None
    label_selector: dict[str, str] | None = None
    placement_strategy: str = "PACK"

    @property
    def bundle(self) -> dict[str, float]:
        """Resources of one worker, by Ray's names."""
        bundle = {"CPU": float(self.cpus_per_worker)}
        if self.gpus_per_worker:
            bundle["GPU"] = self.gpus_per_worker
        if self.accelerator_type is not None:
            bundle[f"accelerator_type:{self.accelerator_type}"] = 0.001
        return bundle
