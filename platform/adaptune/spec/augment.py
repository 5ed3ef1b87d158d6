"""The sections `training.augment` and `training.gan_augment`: random changes of images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from adaptune.spec.base import Count, Section

COLOUR_CHANNELS = 3
_WHOLE = (1.0, 1.0)


def _no_truth_value(value: object) -> object:
    """Refuse `true` and `false`, which pydantic would read as the probabilities 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"must be a probability from 0 to 1, such as 0.5, not {value}".lower())
    return value


def _in_order(interval: tuple[float, float]) -> tuple[float, float]:
    """Refuse an interval whose ends are in the wrong order."""
    low, high = interval
    if low > high:
        raise ValueError(f"must be [low, high] with low <= high, not [{low:g}, {high:g}]")
    return interval


Probability = Annotated[
    Annotated[float, Field(ge=0, le=1)],
    BeforeValidator(_no_truth_value, json_schema_input_type=Annotated[float, Field(ge=0, le=1)]),
]
_Positive = Annotated[float, Field(gt=0)]
_PartOfOne = Annotated[float, Field(gt=0, le=1)]
PositiveInterval = Annotated[tuple[_Positive, _Positive], AfterValidator(_in_order)]
AreaInterval = Annotated[tuple[_PartOfOne, _PartOfOne], AfterValidator(_in_order)]

# Options that `training.consistency.augment` has with other defaults.
Shift = Annotated[
    float,
    Field(
        ge=0,
        le=0.5,
        description="Largest shift along each axis, as a fraction of the image's edge.",
    ),
]
Rotation = Annotated[
    float,
    Field(ge=0, le=45, description="Largest rotation in either direction, in degrees."),
]
Scale = Annotated[
    float,
    Field(ge=0, lt=1, description="Largest relative change of size: 0.1 scales by 0.9 to 1.1."),
]
Erasure = Annotated[
    Probability,
    Field(
        description="Probability that a random rectangle of an image becomes grey (Zhong et al."
        " 2020)."
    ),
]
Policy = Annotated[
    Literal["none", "rand"],
    Field(
        description="`rand` adds `policy_ops` random operations to each image, like RandAugment"
        " (Cubuk et al. 2020): shifts, shears, rotations, brightness, contrast and, with three"
        " channels, saturation."
    ),
]


class JitterSpec(Section):
    """Random changes of colour: the largest change of each property of an image."""

    brightness: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="0.4 multiplies the brightness by a factor from 0.6 to 1.4."
    )
    contrast: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="0.4 multiplies the contrast by a factor from 0.6 to 1.4."
    )
    saturation: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description="0.4 multiplies the saturation by a factor from 0.6 to 1.4."
        " Three channels only.",
    )
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.0,
        description="Largest turn of the colour wheel in either direction; 0.5 is half a turn."
        " Three channels only.",
    )

    @property
    def is_active(self) -> bool:
        """True if any colour changes."""
        return bool(self.brightness or self.contrast or self.saturation or self.hue)


class AugmentSpec(Section):
    """Random changes of the images that a classifier is trained on. By default, there are none."""

    shift: Shift = 0.0
    rotate: Rotation = 0.0
    scale: Scale = 0.0
    crop: AreaInterval = Field(
        default=_WHOLE,
        description="Area of a random window that is enlarged to the whole image, as a fraction"
        " `[low, high]` of the image; the default `[1, 1]` keeps the whole image.",
    )
    aspect: PositiveInterval = Field(
        default=(3 / 4, 4 / 3),
        description="Ratio of width to height of the window of `crop`, `[low, high]`; the default"
        " is `[0.75, 1.3333]`.",
    )
    flip: Probability = Field(
        default=0.0,
        description="Probability that left and right are exchanged. Not for digits and text.",
    )
    flip_vertical: Probability = Field(
        default=0.0,
        description="Probability that top and bottom are exchanged, for images without an upside.",
    )
    rotate_90: bool = Field(
        default=False,
        description="Rotate by a random multiple of 90°, 0 included, for images without an upside.",
    )
    jitter: JitterSpec = JitterSpec()
    grey: Probability = Field(
        default=0.0,
        description="Probability that an image loses its colours. Three channels only.",
    )
    invert: Probability = Field(
        default=0.0,
        description="Probability that black and white are exchanged, and each colour with its"
        " complement. For classes that do not depend on brightness, such as those of digits.",
    )
    blur: Probability = Field(
        default=0.0, description="Probability that an image is blurred by a Gaussian."
    )
    blur_sigma: Annotated[
        tuple[Annotated[float, Field(gt=0, le=20)], Annotated[float, Field(gt=0, le=20)]],
        AfterValidator(_in_order),
    ] = Field(
        default=(0.1, 2.0),
        description="Standard deviation of the blur in px, `[low, high]`; the default is"
        " `[0.1, 2]`.",
    )
    erase: Erasure = 0.0
    erase_area: AreaInterval = Field(
        default=(0.02, 0.33),
        description="Area of the erased rectangle, as a fraction `[low, high]` of the image; the"
        " default is `[0.02, 0.33]`.",
    )
    policy: Policy = "none"
    policy_ops: Count = Field(default=2, description="Operations of `policy: rand` per image.")
    policy_magnitude: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.3,
        description="Strength of these operations, as a fraction of the largest: 0.3 is the 9 of"
        " 30 that torchvision's RandAugment has by default.",
    )

    @property
    def has_policy(self) -> bool:
        """True if the policy changes anything."""
        return self.policy == "rand" and self.policy_magnitude > 0

    @property
    def is_jittered(self) -> bool:
        """True if an image is shifted, rotated or scaled by the three oldest options."""
        return bool(self.shift or self.rotate or self.scale)

    @property
    def is_cropped(self) -> bool:
        """True if a window is cut out of an image."""
        return self.crop != _WHOLE

    @property
    def has_more_geometry(self) -> bool:
        """True if anything except shift, rotate and scale moves the pixels of an image."""
        is_flipped = bool(self.flip or self.flip_vertical)
        return self.is_cropped or is_flipped or self.rotate_90 or self.has_policy

    @property
    def has_colour(self) -> bool:
        """True if colours change."""
        return self.jitter.is_active or bool(self.grey or self.invert) or self.has_policy

    @property
    def is_active(self) -> bool:
        """True if anything changes an image."""
        has_filters = bool(self.blur or self.erase)
        has_geometry = self.is_jittered or self.has_more_geometry
        return has_geometry or self.has_colour or has_filters

    def check_channels(self, channels: int, section: str = "training.augment") -> None:
        """Refuse options that need colour images if the images have other channels.

        Args:
            channels: channels of the images.
            section: dotted path of this section, for messages.

        Raises:
            ValueError: an option needs three channels.
        """
        if channels == COLOUR_CHANNELS:
            return
        strengths = {
            "jitter.saturation": self.jitter.saturation,
            "jitter.hue": self.jitter.hue,
            "grey": self.grey,
        }
        for name, strength in strengths.items():
            if strength:
                raise ValueError(
                    f"{section}.{name} needs images of {COLOUR_CHANNELS} channels, and these"
                    f" have {channels}: leave it out, or set `channels: {COLOUR_CHANNELS}`"
                )


class GanAugmentSpec(Section):
    """Random changes of both domains' images before an update, so that G and D see more of them.

    f_T sees the same images, and `training.augment` changes them further.
    """

    flip: Probability = Field(
        default=0.0,
        description="Probability that left and right are exchanged; CycleGAN has 0.5. Not for"
        " digits and text.",
    )
    enlarge: Annotated[float, Field(ge=1, le=4)] = Field(
        default=1.0,
        description="Enlarge each image by this factor and cut out a random window of the old"
        " size. CycleGAN has 1.117, 286 px for a window of 256 px.",
    )

    @property
    def is_active(self) -> bool:
        """True if anything changes an image."""
        return self.flip > 0 or self.enlarge > 1

    def as_augment(self) -> AugmentSpec:
        """Return the same changes as an `AugmentSpec`."""
        area = 1 / self.enlarge**2
        return AugmentSpec(flip=self.flip, crop=(area, area), aspect=_WHOLE)
