"""A stand-in for a GPU: tensors on it have shapes and no values, and copies to it are noted."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)


class FakeGpu(TorchDispatchMode):
    """Computes on the CPU what is there, and nothing but shapes on CUDA devices.

    Attributes:
        copies: places of the copies from the CPU to a device that it does not wait for.
        blocking: places of those that it waits for.
        reads: operations whose result the CPU waits for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []
        self.blocking: list[str] = []
        self.reads: list[str] = []
        self._pinned: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        name = func._schema.name.split("::")[1]
        if name == "_pin_memory":
            with _disable_current_modes():
                pinned = args[0].clone()
            self._pinned.add(pinned.data_ptr())
            return pinned
        on_device = [leaf for leaf in leaves if isinstance(leaf, FakeTensor)]
        asks_for_device = kwargs.get("device") == CUDA
        if not on_device and not asks_for_device:
            with _disable_current_modes():
                return func(*args, **kwargs)
        self._note(name, leaves, kwargs)
        if name == "_fused_adam_":  # fake tensors have no rule for a rate on the device
            return None  # it changes its arguments in place
        return func(*args, **kwargs)

    def _note(self, name: str, leaves: list[object], kwargs: dict[str, object]) -> None:
        if name in ("_local_scalar_dense", "nonzero", "is_nonzero"):
            self.reads.append(name)
        for leaf in leaves:
            if not isinstance(leaf, Tensor) or isinstance(leaf, FakeTensor):
                continue
            if leaf.dim() == 0 and name not in ("_to_copy", "copy_"):
                continue  # an argument of the kernel
            is_pinned = leaf.data_ptr() in self._pinned
            is_free = is_pinned and (kwargs.get("non_blocking") is True or name == "copy_")
            (self.copies if is_free else self.blocking).append(name)
