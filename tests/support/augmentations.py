"""Every option of an augmentation, by itself and all together."""

from __future__ import annotations

from typing import Any

import torch

from adaptune.spec.augment import AugmentSpec

# Options that also work on one channel.
GREY_OPTIONS: dict[str, dict[str, Any]] = {
    "shift": {"shift": 0.2},
    "rotate": {"rotate": 30},
    "scale": {"scale": 0.3},
    "crop": {"crop": [0.3, 0.9]},
    "flip": {"flip": 0.5},
    "flip_vertical": {"flip_vertical": 0.5},
    "rotate_90": {"rotate_90": True},
    "brightness": {"jitter": {"brightness": 0.5}},
    "contrast": {"jitter": {"contrast": 0.5}},
    "invert": {"invert": 0.5},
    "blur": {"blur": 0.5, "blur_sigma": [0.5, 1.5]},
    "erase": {"erase": 0.5},
    "policy": {"policy": "rand", "policy_ops": 3, "policy_magnitude": 0.5},
}
OPTIONS: dict[str, dict[str, Any]] = GREY_OPTIONS | {
    "saturation": {"jitter": {"saturation": 0.5}},
    "hue": {"jitter": {"hue": 0.3}},
    "grey": {"grey": 0.5},
}
ALL_OF_GREY: dict[str, Any] = {}
for _option in GREY_OPTIONS.values():
    ALL_OF_GREY |= _option
ALL_OF_GREY["jitter"] = {"brightness": 0.4, "contrast": 0.4}
OPTIONS["all together"] = ALL_OF_GREY | {
    "jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "grey": 0.2,
}


def augmentation(name: str) -> AugmentSpec:
    return AugmentSpec.model_validate(OPTIONS[name])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photographs(count: int = 8, size: int = 32, channels: int = 3) -> torch.Tensor:
    """Random images without sharp edges, (N, C, size, size) in [-1, 1]."""
    coarse = torch.rand(count, channels, 6, 6, generator=seeded(7)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").clamp(-1, 1)
