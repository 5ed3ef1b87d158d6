"""Norms of the gradients of an update, by network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from adaptune.training.state import TrainingState

# The networks that each optimizer updates.
_UPDATED: Mapping[str, Sequence[str]] = {
    "generators": ("g_st", "g_ts"),
    "discriminators": ("d_s", "d_t"),
    "f_t": ("f_t",),
    "d_feat": ("d_feat",),
}


class GradientNorms:
    """L2 norms of the gradients with which each network was last updated.

    An update clears its gradients, so they are noted just before an optimizer uses them. They are
    those of the whole batch: workers have averaged them before.

    Args:
        state: the trial.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._norms: dict[str, Tensor] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the norms of an update within this context; nothing waits for the device."""
        self._norms = {}
        with ExitStack() as stack:
            for name, optimizer in self._state.optimizers.by_name().items():
                note = partial(self._note, _UPDATED[name])
                stack.callback(optimizer.register_step_pre_hook(note).remove)
            yield

    def values(self) -> dict[str, float]:
        """Return the norm by the name of each network that the update changed."""
        if not self._norms:
            return {}
        norms = torch.stack(list(self._norms.values())).tolist()
        return dict(zip(self._norms, norms, strict=True))

    @torch.no_grad()
    def _note(self, names: Sequence[str], optimizer: Optimizer, *_: object) -> None:
        networks = self._state.networks.trained()
        for name in names:
            gradients = _gradients(networks[name])
            if gradients:
                self._norms[name] = get_total_norm(gradients)


def _gradients(network: nn.Module) -> list[Tensor]:
    return [value.grad for value in network.parameters() if value.grad is not None]
