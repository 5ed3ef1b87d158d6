from __future__ import annotations

import math
from typing import Any

import torch
from support.augmentations import photographs, seeded

from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.draws import draw
from adaptune.training.augment.images import augment_images, sample_augmentation
from adaptune.training.augment.policy import Policy, choose

OPERATIONS = {
    "identity",
    "rotate",
    "shear x",
    "shear y",
    "shift x",
    "shift y",
    "brightness",
    "contrast",
    "saturation",
}


def rand(**options: Any) -> AugmentSpec:
    return AugmentSpec.model_validate({"policy": "rand"} | options)


def policy_of(count: int, channels: int = 3, **options: Any) -> Policy:
    spec = rand(**options)
    return choose(spec, channels, draw(spec, count, seeded()))


def test_each_image_has_one_operation_of_full_strength_in_either_direction() -> None:
    strengths = policy_of(4000, policy_ops=1, policy_magnitude=1).strengths
    assert set(strengths) == OPERATIONS
    chosen = torch.stack([values != 0 for values in strengths.values()])
    assert chosen.sum(dim=0).max() == 1
    for name, values in strengths.items():
        if name != "identity":
            assert 0.08 < (values != 0).float().mean() < 0.14  # one of nine
            assert 0.4 < (values[values != 0] > 0).float().mean() < 0.6
    assert strengths["rotate"].abs().max() == math.radians(30)


def test_the_magnitude_scales_the_strength() -> None:
    strong = policy_of(100, policy_magnitude=1).strengths
    weak = policy_of(100, policy_magnitude=0.25).strengths
    for name, values in strong.items():
        torch.testing.assert_close(weak[name], values / 4)


def test_several_operations_add_up() -> None:
    strengths = policy_of(500, policy_ops=3, policy_magnitude=1).strengths
    chosen = torch.stack([values != 0 for values in strengths.values()]).sum(dim=0)
    assert chosen.max() == 3
    assert strengths["rotate"].abs().max() > math.radians(31)  # chosen twice


def test_saturation_is_for_three_channels_only() -> None:
    assert not policy_of(500, channels=1).strengths["saturation"].any()
    assert policy_of(500, channels=3).strengths["saturation"].any()


def test_an_image_without_an_operation_stays_in_place_and_keeps_its_colours() -> None:
    spec = rand(policy_ops=1, policy_magnitude=0.5)
    sample = sample_augmentation(spec, 3, 64, seeded())
    identity = policy_of(64, policy_ops=1, policy_magnitude=0.5).strengths
    is_unchanged = ~torch.stack([values != 0 for values in identity.values()]).any(dim=0)
    assert is_unchanged.any()
    assert sample.maps is not None
    assert sample.colours is not None
    count = int(is_unchanged.sum())
    assert torch.equal(sample.maps[is_unchanged], torch.eye(2, 3).expand(count, 2, 3))
    neutral = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0])
    assert torch.equal(sample.colours.columns[is_unchanged, :5], neutral.expand(count, 5))


def test_the_policy_never_flips() -> None:
    sample = sample_augmentation(rand(policy_ops=4, policy_magnitude=1), 3, 1000, seeded())
    assert sample.maps is not None
    assert (torch.linalg.det(sample.maps[:, :, :2]) > 0).all()


def test_the_policy_changes_images() -> None:
    images = photographs(16)
    changed = augment_images(rand(), images, seeded())
    differs = (changed - images).abs().amax(dim=(1, 2, 3)) > 0.01
    assert differs.float().mean() > 0.7
