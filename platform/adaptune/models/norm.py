"""Instance norm without running statistics, for generators and image discriminators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm (Ulyanov et al. 2016): (N, D, H, W) → (N, D, H, W).

    It is the group norm of groups of one channel. `torch.nn.InstanceNorm2d` repeats the parameters
    for each image, and takes four times as many operations. The results are the same up to
    rounding.
    """

    _cast: tuple[Tensor, Tensor] | None = None  # scales and shifts, within `with_cast_norms`

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of each image: (N, D, H, W) → (N, D, H, W)."""
        # In this layout, a CPU takes a half to a third of the time that it takes in NHWC.
        x = x.contiguous()
        if x.dtype in (torch.float32, torch.float64):
            return F.group_norm(x, self.num_features, self.weight, self.bias, self.eps)
        weight, bias = self._cast or self._cast_to(x.dtype)
        # Autocast would compute and store a group norm in float32. Sums are in float32 anyway.
        with torch.autocast(x.device.type, enabled=False):
            return F.group_norm(x, self.num_features, weight, bias, self.eps)

    def _cast_to(self, dtype: torch.dtype) -> tuple[Tensor, Tensor] | tuple[None, None]:
        if self.weight is None:
            return None, None
        return self.weight.to(dtype), self.bias.to(dtype)


def with_cast_norms(network: nn.Module, x: Tensor) -> Tensor:
    """Apply a network, whose instance norms under autocast all get their parameters by one cast.

    (N, C, H, W) → the shape of `network(x)`, and the same results. With a cast per parameter, an
    update of resnet generators would have a fifth more operations. A compiler joins them by itself.
    """
    norms: list[InstanceNorm] = []
    device = x.device.type
    # The device `meta`, for one, has no autocast to ask about.
    has_autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    if has_autocast and not torch.compiler.is_compiling():
        for part in network.modules():
            if isinstance(part, InstanceNorm) and part.affine:
                norms.append(part)
    if norms:
        _cast_together(norms, torch.get_autocast_dtype(device))
    try:
        result: Tensor = network(x)
    finally:
        for norm in norms:
            norm._cast = None
    return result


def _cast_together(norms: Sequence[InstanceNorm], dtype: torch.dtype) -> None:
    parameters: list[Tensor] = [part for norm in norms for part in (norm.weight, norm.bias)]
    sizes = [norm.num_features for norm in norms for _ in ("scale", "shift")]
    parts = torch.cat(parameters).to(dtype).split(sizes)
    for index, norm in enumerate(norms):
        norm._cast = (parts[2 * index], parts[2 * index + 1])
