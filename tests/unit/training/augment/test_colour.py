from __future__ import annotations

from typing import Any

import pytest
import torch
from support.augmentations import photographs, seeded
from torch import Tensor
from torchvision.transforms.v2 import functional as torchvision

from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.colour import Colours, change_colours, colour_factors, colours, luma
from adaptune.training.augment.draws import draw
from adaptune.training.augment.policy import choose

COLUMNS = ["brightness", "contrast", "saturation", "hue"]
NEUTRAL = (1.0, 1.0, 1.0, 0.0, 1.0)


def factors_of(count: int, **options: Any) -> Tensor:
    spec = AugmentSpec.model_validate(options)
    factors = colour_factors(spec, draw(spec, count, seeded()), None)
    assert factors is not None
    return factors


def changed(images: Tensor, factors: Tensor) -> Tensor:
    kinds = (factors != torch.tensor(NEUTRAL)).any(dim=0).tolist()
    return change_colours(images, Colours.of(factors, tuple(kinds)))


def one_change(count: int, name: str, value: float) -> Tensor:
    factors = torch.tensor(NEUTRAL).repeat(count, 1)
    factors[:, COLUMNS.index(name)] = value
    return factors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("brightness", 0.6),
        ("brightness", 1.7),
        ("contrast", 0.4),
        ("contrast", 1.8),
        ("saturation", 0.3),
        ("saturation", 1.9),
        ("hue", 0.1),
        ("hue", -0.37),
        ("hue", 0.5),
    ],
)
def test_a_change_is_that_of_torchvision(name: str, value: float) -> None:
    images = photographs()
    images[0] = 0.25  # grey, which has no hue
    adjust = getattr(torchvision, f"adjust_{name}")
    expected = adjust((images + 1) / 2, value) * 2 - 1
    result = changed(images, one_change(8, name, value))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-4)


def test_saturation_0_is_the_grey_of_torchvision() -> None:
    images = photographs()
    expected = torchvision.rgb_to_grayscale((images + 1) / 2, num_output_channels=3) * 2 - 1
    result = changed(images, factors_of(8, grey=1))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_grey_images_are_changed_like_in_torchvision(name: str) -> None:
    images = photographs(channels=1)
    adjust = getattr(torchvision, f"adjust_{name}")
    expected = adjust((images + 1) / 2, 1.5) * 2 - 1
    result = changed(images, one_change(8, name, 1.5))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", COLUMNS)
def test_each_image_has_its_own_factors(name: str) -> None:
    images = photographs(4)
    together = factors_of(4, jitter={name: 0.4})
    result = changed(images, together)
    for row in range(4):
        alone = changed(images[row : row + 1], together[row : row + 1])
        torch.testing.assert_close(result[row : row + 1], alone, rtol=0, atol=1e-6)


def test_an_image_whose_factors_are_neutral_keeps_every_bit() -> None:
    images = photographs(4)
    factors = one_change(4, "hue", 0.2)
    factors[1] = torch.tensor(NEUTRAL)
    result = changed(images, factors)
    assert torch.equal(result[1], images[1])
    assert not torch.equal(result[0], images[0])


@pytest.mark.parametrize(
    ("name", "strength"), list(zip(COLUMNS, (0.4, 0.3, 0.2, 0.1), strict=True))
)
def test_factors_fill_their_range_and_leave_the_others_alone(name: str, strength: float) -> None:
    factors = factors_of(2000, jitter={name: strength})
    for number, column in enumerate(COLUMNS):
        values = factors[:, number] - NEUTRAL[number]
        if column == name:
            assert -strength - 1e-5 <= values.min() < -0.98 * strength
            assert 0.98 * strength < values.max() <= strength + 1e-5
        else:
            assert not values.any()


def test_a_quarter_of_the_images_are_grey_at_probability_one_quarter() -> None:
    is_grey = factors_of(2000, grey=0.25)[:, 2] == 0
    assert 0.21 < is_grey.float().mean() < 0.29


def test_a_quarter_of_the_images_are_inverted_at_probability_one_quarter() -> None:
    is_inverted = factors_of(2000, invert=0.25)[:, 4] == -1
    assert 0.21 < is_inverted.float().mean() < 0.29


def test_inversion_exchanges_black_and_white_of_some_images_only() -> None:
    images = photographs(2)
    factors = torch.tensor([NEUTRAL, NEUTRAL])
    factors[0, 4] = -1
    result = changed(images, factors)
    torch.testing.assert_close(result[0], -images[0], rtol=0, atol=1e-6)
    assert torch.equal(result[1], images[1])


def test_inversion_leaves_the_other_draws_as_they_are() -> None:
    options = {"policy": "rand", "grey": 0.3, "jitter": {"hue": 0.2}}
    spec = AugmentSpec.model_validate(options)
    inverting = AugmentSpec.model_validate(options | {"invert": 0.5})
    draws = draw(spec, 64, seeded())
    others = draw(inverting, 64, seeded())
    assert set(others) - set(draws) == {"invert"}
    assert all(torch.equal(others[name], values) for name, values in draws.items())


def test_without_changes_of_colour_there_are_no_factors() -> None:
    spec = AugmentSpec(flip=0.5)
    assert colour_factors(spec, draw(spec, 3, seeded()), None) is None


def test_the_grey_value_of_other_channels_is_their_mean() -> None:
    images = torch.tensor([0.0, 0.5]).view(1, 2, 1, 1)
    assert luma(images).item() == 0.25


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options",
    [{"jitter": {"contrast": 0.4}}, {"invert": 0.5}, {"policy": "rand", "policy_ops": 3}],
)
def test_the_kinds_of_change_are_those_that_can_be_drawn(
    options: dict[str, Any], channels: int
) -> None:
    spec = AugmentSpec.model_validate(options)
    draws = draw(spec, 500, seeded())
    policy = choose(spec, channels, draws) if spec.has_policy else None
    sample = colours(spec, channels, draws, policy)
    factors = colour_factors(spec, draws, policy)
    assert sample is not None
    assert factors is not None
    assert sample.kinds == tuple((factors != torch.tensor(NEUTRAL)).any(dim=0).tolist())
