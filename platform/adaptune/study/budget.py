"""The extent of a search."""

from __future__ import annotations

from dataclasses import dataclass

from adaptune.spec.schema import SearchSpec


@dataclass(frozen=True)
class SearchBudget:
    """Extent of a search.

    Attributes:
        trials: number of trials in all, apart from those that were requested during the search.
        group_size: number of trials that share a GAN.
        epochs: number of epochs of a trial that is not stopped.
        node_timeout_s: seconds to wait for nodes before the search gives up.
    """

    trials: int
    epochs: int
    node_timeout_s: float
    group_size: int = 1

    @classmethod
    def of(cls, spec: SearchSpec, node_timeout_s: float) -> SearchBudget:
        """Return the extent of a search that has this spec."""
        return cls(spec.planned_trials, spec.epochs, node_timeout_s, spec.search.group_size)
