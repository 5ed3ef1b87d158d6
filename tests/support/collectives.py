"""A record of what workers exchange."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Collectives(TorchDispatchMode):
    """Notes the collectives that this worker takes part in, those of DDP included.

    Attributes:
        names: their names in torch, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        if func.namespace == "c10d":
            self.names.append(func._schema.name.split("::")[1].rstrip("_"))
        return func(*args, **(kwargs or {}))
