from __future__ import annotations

from collections.abc import Callable

import pytest

from adaptune.spec import SearchSpec
from adaptune.spec.discriminator_augment import DiscriminatorAugmentSpec

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]


def test_by_default_discriminators_get_the_images_as_they_are(read: Read) -> None:
    assert not read("").trial({}).training.d_augment.is_active


@pytest.mark.parametrize("name", DiscriminatorAugmentSpec.model_fields)
def test_each_option_is_active_by_itself(name: str) -> None:
    assert DiscriminatorAugmentSpec.model_validate({name: 0.1}).is_active


@pytest.mark.parametrize(("name", "value"), [("shift", 0.6), ("cutout", 1.1), ("brightness", -1)])
def test_options_that_make_no_sense_are_refused(fail: Fail, name: str, value: float) -> None:
    (line,) = fail(f"training: {{d_augment: {{{name}: {value}}}}}\n")
    assert f"training.d_augment.{name} = {value}: must be" in line


def test_saturation_needs_three_channels(fail: Fail) -> None:
    (line,) = fail(
        "training: {d_augment: {saturation: 0.5}}\n",
        "data.source.channels=1",
        "data.target.channels=1",
    )
    assert line.endswith(
        "training.d_augment.saturation needs images of 3 channels, and these have 1: leave it out,"
        " or set `channels: 3`"
    )
