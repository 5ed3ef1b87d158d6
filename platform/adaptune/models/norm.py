"""Instance norm without running statistics, for generators and image discriminators."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm (Ulyanov et al. 2016): (N, D, H, W) → (N, D, H, W).

    It is the group norm of groups of one channel. `torch.nn.InstanceNorm2d` repeats the parameters
    for each image, and takes four times as many operations. The results are the same up to
    rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of each image: (N, D, H, W) → (N, D, H, W)."""
        if x.dtype != torch.float32:  # autocast would compute and store a group norm in float32
            return super().forward(x)
        # In this layout, a CPU takes a half to a third of the time that it takes in NHWC.
        return F.group_norm(x.contiguous(), self.num_features, self.weight, self.bias, self.eps)
