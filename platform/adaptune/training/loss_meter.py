"""Means of the loss terms over an epoch, with a check that every value was finite."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from adaptune.errors import NonFiniteLossError
from adaptune.spec.loss_terms import LossWeights
from adaptune.training.distributed import all_reduce_mean
from adaptune.training.steps.optimization import LossTerms


class LossMeter:
    """Running sums of all loss terms, and the first step at which each was not finite.

    A term counts as 0 in the updates without it, as a term does before its gate opens.

    All tensors stay on the device until the end of the epoch: reading them at each step would make
    a GPU wait.

    Args:
        weights: the loss weights of the trial, for messages.
        device: device of the loss terms.
    """

    def __init__(self, weights: LossWeights, device: torch.device) -> None:
        self._weights = weights
        self._device = device
        self._sums: dict[str, Tensor] = {}
        self._first_bad_step: dict[str, Tensor] = {}
        self._count = 0
        self._first_step = 0

    def resume(self, means: Mapping[str, float], updates: int) -> None:
        """Begin with the part of an epoch that was trained before an interruption.

        Args:
            means: mean of each loss term over that part, by name.
            updates: number of updates of that part.
        """
        self._count = updates
        for name, mean in means.items():
            self._sums[name] = torch.tensor(mean * updates, device=self._device)

    def add(self, step: int, terms: LossTerms) -> None:
        """Add the scalar terms of update `step`, counted from 1."""
        self._count += 1
        self._first_step = self._first_step or step
        never = torch.tensor(torch.inf, device=self._device)
        zero = torch.zeros((), device=self._device)
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, zero) + value.float()
            bad_step = torch.where(value.isfinite(), never, float(step))
            self._first_bad_step[name] = self._first_bad_step.get(name, never).minimum(bad_step)

    def running_means(self) -> tuple[dict[str, float], int]:
        """Return the means over all workers, finite or not, and the number of updates."""
        if not self._sums:
            return {}, self._count
        names = sorted(self._sums)
        sums = torch.stack([self._sums[name] for name in names])
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
        steps = {name: float(self._first_bad_step.get(name, torch.inf)) for name in means}
        step, name = min((step, name) for name, step in steps.items())
        if step == math.inf:  # another worker's share was bad
            name = next(name for name, mean in means.items() if not math.isfinite(mean))
            step = self._first_step
        weights = ", ".join(f"{key} {value:g}" for key, value in self._weights.model_dump().items())
        return NonFiniteLossError(
            f"term `{name}` is not finite at step {step:.0f} (weights: {weights});"
            " lower the learning rates or narrow the weights' ranges"
        )
