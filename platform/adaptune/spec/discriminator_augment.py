"""The section `training.d_augment`: random changes of all that image discriminators see."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adaptune.spec.augment import COLOUR_CHANNELS
from adaptune.spec.base import Section

Part = Annotated[float, Field(ge=0, le=1)]


class DiscriminatorAugmentSpec(Section):
    """Random changes of real and translated images before D_s and D_t (DiffAugment).

    Translations are changed in the update of the generators as well, which learn through the
    changes and do not reproduce them (Zhao et al. 2020).
    """

    brightness: Part = Field(
        default=0.0,
        description="Largest number that is added to all values of an image, which are from -1 to"
        " 1; DiffAugment has 0.5.",
    )
    saturation: Part = Field(
        default=0.0,
        description="0.4 multiplies the saturation by a factor from 0.6 to 1.4; DiffAugment has 1."
        " Three channels only.",
    )
    contrast: Part = Field(
        default=0.0,
        description="0.4 multiplies the contrast by a factor from 0.6 to 1.4; DiffAugment has 0.5.",
    )
    shift: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.0,
        description="Largest shift along each axis, as a fraction of the image's edge; DiffAugment"
        " has 0.125. Pixels from outside are grey.",
    )
    cutout: Part = Field(
        default=0.0,
        description="Edge of a square of each image that becomes grey, as a fraction of the image's"
        " edge; DiffAugment has 0.5.",
    )

    @property
    def is_active(self) -> bool:
        """True if anything changes an image."""
        has_colour = self.brightness or self.saturation or self.contrast
        return bool(has_colour or self.shift or self.cutout)

    def check_channels(self, channels: int) -> None:
        """Refuse options that need colour images if the images have other channels.

        Raises:
            ValueError: an option needs three channels.
        """
        if self.saturation and channels != COLOUR_CHANNELS:
            raise ValueError(
                f"training.d_augment.saturation needs images of {COLOUR_CHANNELS} channels, and"
                f" these have {channels}: leave it out, or set `channels: {COLOUR_CHANNELS}`"
            )
