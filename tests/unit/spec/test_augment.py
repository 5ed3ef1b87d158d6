from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from support.augmentations import OPTIONS
from support.fake_search import make_search

from adaptune.spec.augment import AugmentSpec, GanAugmentSpec, JitterSpec


def test_by_default_nothing_is_changed() -> None:
    assert not AugmentSpec().is_active
    assert not JitterSpec().is_active
    assert not GanAugmentSpec().is_active


@pytest.mark.parametrize("name", list(OPTIONS))
def test_each_option_by_itself_changes_images(name: str) -> None:
    assert AugmentSpec.model_validate(OPTIONS[name]).is_active


@pytest.mark.parametrize(
    "options",
    [
        {"aspect": [0.5, 2]},
        {"blur_sigma": [1, 2]},
        {"erase_area": [0.1, 0.2]},
        {"policy_ops": 3, "policy_magnitude": 1},
        {"policy": "rand", "policy_magnitude": 0},
    ],
)
def test_the_details_of_an_option_that_is_off_change_nothing(options: dict[str, Any]) -> None:
    assert not AugmentSpec.model_validate(options).is_active


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": True}, "must be a probability from 0 to 1, such as 0.5, not true"),
        ({"grey": False}, "must be a probability from 0 to 1, such as 0.5, not false"),
        ({"flip": 1.5}, "less than or equal to 1"),
        ({"crop": [0.9, 0.3]}, "must be [low, high] with low <= high, not [0.9, 0.3]"),
        ({"crop": [0, 1]}, "greater than 0"),
        ({"crop": [0.5]}, "Field required"),
        ({"crop": 0.5}, "valid tuple"),
        ({"aspect": [2, 0.5]}, "low <= high"),
        ({"blur_sigma": [0, 1]}, "greater than 0"),
        ({"erase_area": [0.1, 1.1]}, "less than or equal to 1"),
        ({"jitter": {"hue": 0.6}}, "less than or equal to 0.5"),
        ({"policy": "auto"}, "'none' or 'rand'"),
        ({"policy_ops": 0}, "greater than or equal to 1"),
    ],
)
def test_values_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        AugmentSpec.model_validate(options)
    assert message in str(error.value)


@pytest.mark.parametrize("enlarge", [0.9, 5])
def test_an_image_cannot_shrink_or_lose_almost_everything(enlarge: float) -> None:
    with pytest.raises(ValidationError):
        GanAugmentSpec(enlarge=enlarge)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"grey": 0.1}, "grey"),
        ({"jitter": {"hue": 0.1}}, "jitter.hue"),
        ({"jitter": {"saturation": 0.1}}, "jitter.saturation"),
    ],
)
@pytest.mark.parametrize("channels", [1, 4])
def test_changes_of_colour_need_three_channels(
    options: dict[str, Any], name: str, channels: int
) -> None:
    spec = AugmentSpec.model_validate(options)
    spec.check_channels(3)
    with pytest.raises(ValueError, match=f"training.augment.{name} needs images of 3 channels"):
        spec.check_channels(channels)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_options_take_any_number_of_channels(channels: int) -> None:
    options = {"jitter": {"brightness": 0.4, "contrast": 0.4}, "policy": "rand", "blur": 0.5}
    AugmentSpec.model_validate(options).check_channels(channels)


def test_a_trial_on_grey_images_refuses_changes_of_colour() -> None:
    search = make_search(training={"augment": {"flip": 0.5}})
    channels = search.data.source.channels
    assert channels == 1
    with pytest.raises(ValidationError, match=r"training\.augment\.grey needs images of 3"):
        make_search(training={"augment": {"grey": 0.5}}).trial({})


def test_an_enlarged_image_of_which_a_part_is_kept_is_a_crop_of_fixed_area() -> None:
    spec = GanAugmentSpec(flip=0.5, enlarge=2).as_augment()
    assert spec == AugmentSpec(flip=0.5, crop=(0.25, 0.25), aspect=(1, 1))
