"""Means of the loss terms over an epoch, with a check that every value was finite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch

from adaptune.errors import NonFiniteLossError
from adaptune.spec.loss_terms import LossWeights
from adaptune.training.distributed import all_reduce_mean
from adaptune.training.steps.optimization import LossTerms


class LossMeter:
    """Running sums of all loss terms, and the number of updates after which each was finite.

    A term counts as 0 in the updates without it, as a term does before its gate opens. A sum that
    is not finite stays so: the updates with a finite sum are those before the first bad one.

    All tensors stay on the device until the end of the epoch: reading them at each step would make
    a GPU wait. They change in place, for all terms at once.

    Args:
        weights: the loss weights of the trial, for messages.
        device: device of the loss terms.
    """

    def __init__(self, weights: LossWeights, device: torch.device) -> None:
        self._weights = weights
        self._first_steps: dict[str, int] = {}  # the first update with a term, in the sums' order
        self._zero = torch.zeros((), device=device)
        self._sums = torch.zeros(0, device=device)
        self._finite_updates = torch.zeros(0, device=device)
        self._count = 0
        self._first_step = 0

    def resume(self, means: Mapping[str, float], updates: int) -> None:
        """Begin with the part of an epoch that was trained before an interruption.

        Args:
            means: mean of each loss term over that part, by name.
            updates: number of updates of that part.
        """
        self._count = updates
        self._add_names(means, updates + 1)
        sums = [mean * updates for mean in means.values()]
        self._sums.copy_(torch.tensor(sums))

    @torch.no_grad()
    def add(self, step: int, terms: LossTerms) -> None:
        """Add the scalar terms of update `step`, counted from 1."""
        self._count += 1
        self._first_step = self._first_step or step
        self._add_names(terms, step)
        if not self._first_steps:
            return
        values = torch.stack([terms.get(name, self._zero) for name in self._first_steps])
        self._sums += values
        self._finite_updates += self._sums.isfinite()

    def running_means(self) -> tuple[dict[str, float], int]:
        """Return the means over all workers, finite or not, and the number of updates."""
        if not self._first_steps:
            return {}, self._count
        names = sorted(self._first_steps)
        places = [list(self._first_steps).index(name) for name in names]
        sums = self._sums[torch.tensor(places, device=self._sums.device)]
        means = all_reduce_mean(sums / self._count).tolist()
        return dict(zip(names, means, strict=True)), self._count

    def means(self) -> dict[str, float]:
        """Return the mean of each term over the epoch and all workers.

        Raises:
            NonFiniteLossError: a term was NaN or infinite; raised by all workers or by none.
        """
        means, _ = self.running_means()
        if not all(math.isfinite(mean) for mean in means.values()):
            raise self._error(means)
        return means

    def _error(self, means: Mapping[str, float]) -> NonFiniteLossError:
        steps = self._first_bad_steps()
        step, name = min((step, name) for name, step in steps.items())
        if step == math.inf:  # another worker's share was bad
            name = next(name for name, mean in means.items() if not math.isfinite(mean))
            step = self._first_step
        weights = ", ".join(f"{key} {value:g}" for key, value in self._weights.model_dump().items())
        return NonFiniteLossError(
            f"term `{name}` is not finite at step {step:.0f} (weights: {weights});"
            " lower the learning rates or narrow the weights' ranges"
        )

    def _first_bad_steps(self) -> dict[str, float]:
        """Return the update from which each sum of this worker is not finite, or infinity."""
        sums = self._sums.tolist()
        updates = self._finite_updates.tolist()
        return {
            name: math.inf if math.isfinite(sums[row]) else first_step + updates[row]
            for row, (name, first_step) in enumerate(self._first_steps.items())
        }

    def _add_names(self, names: Iterable[str], step: int) -> None:
        """Make room for terms that come for the first time in update `step`."""
        new = [name for name in names if name not in self._first_steps]
        if new:
            self._first_steps |= dict.fromkeys(new, step)
            zeros = self._zero.expand(len(new))
            self._sums = torch.cat([self._sums, zeros])
            self._finite_updates = torch.cat([self._finite_updates, zeros])
