"""The `model` section: the networks, by name and size."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.config import JsonDict

from adaptune.spec.base import ClassifierSide, Count, Fixed, OnlyIn, Section
from adaptune.spec.data import absolute_path

SMALL_CLASSIFIERS = ("lenet", "dtn", "resnet18")
LIBRARIES = ("torchvision", "timm")
NO_WEIGHTS = "none"
DEFAULT_WEIGHTS = "DEFAULT"
WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt")
_NAMES: JsonDict = {
    "anyOf": [
        {"enum": [*SMALL_CLASSIFIERS]},
        {"type": "string", "pattern": f"^({'|'.join(LIBRARIES)}):."},
    ]
}
_WITHOUT_LINEAR_HEAD = ("squeezenet1_0", "squeezenet1_1")


class GeneratorSpec(Section):
    """The networks of G_st and G_ts."""

    name: Literal["resnet", "unshuffle"] = Field(
        default="unshuffle",
        description="`resnet` is CycleGAN's generator; `unshuffle` works on space-to-depth"
        " blocks, which is fast on small images.",
    )
    width: Count = Field(
        default=32, description="Channels at full resolution (resnet) or of each block (unshuffle)."
    )
    blocks: Annotated[int, Field(ge=0)] = Field(default=2, description="Residual blocks.")
    upsample: Literal["resize_conv", "transposed_conv"] = Field(
        default="resize_conv",
        description="resnet only: nearest-neighbour upsampling with a convolution,"
        " or CycleGAN's transposed convolutions.",
    )
    factor: Literal[2, 4, 8] = Field(
        default=4, description="unshuffle only: edge in px of a space-to-depth block."
    )


class DiscriminatorSpec(Section):
    """The networks of D_s and D_t: PatchGANs."""

    name: Literal["patch", "cyclegan"] = Field(
        default="patch",
        description="`cyclegan` is CycleGAN's PatchGAN: with `layers: 3` and `width: 64`, each"
        " logit sees 70 × 70 px. `patch` sees less with as many layers, and is faster.",
    )
    width: Count = Field(
        default=16, description="Channels of the first convolution; they double up to eightfold."
    )
    layers: Annotated[int, Field(ge=1, le=5)] = Field(
        default=2, description="Stride-2 convolutions."
    )


class ClassifierSpec(Section):
    """The network of f_S and f_T."""

    name: str = Field(
        default="lenet",
        json_schema_extra=_NAMES,
        description="Network. `lenet`: images of 16 to 64 px; `dtn`: 32 to 64 px;"
        " `resnet18`: 32 to 512 px. `torchvision:NAME` is a classification model of torchvision,"
        " such as `torchvision:resnet50`, and `timm:NAME` one of timm (`pip install"
        " 'adaptune[timm]'`).",
    )
    width: Annotated[int, Field(ge=2, multiple_of=2)] = Field(
        default=20,
        description="lenet only: channels of the first convolution;"
        " the other layers grow in proportion.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.5, description="lenet and dtn only: dropout probability."
    )
    weights: str = Field(
        default=NO_WEIGHTS,
        description="torchvision and timm only: pretrained weights from which the training of f_S"
        " starts. `none`; `DEFAULT`, those of the library, which are downloaded; or a file"
        " `.safetensors`, `.pth` or `.pt` with the state dict of the whole network. Images are then"
        " normalised as those of the weights, and must have 1 or 3 channels.",
    )
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="SHA-256 that the file of `weights` must have, in quotes. `null` accepts the"
        " file; the search then keeps to it.",
    )
    bottleneck: Count | None = Field(
        default=None,
        description="torchvision and timm only: units of a linear layer and batch norm between the"
        " backbone and the last layer; SHOT has 256. `null` leaves them out.",
    )

    @property
    def library(self) -> str | None:
        """The library of the backbone, `torchvision` or `timm`; None for the small classifiers."""
        library, colon, _ = self.name.partition(":")
        return library if colon else None

    @property
    def backbone(self) -> str:
        """The name of the backbone in its library."""
        return self.name.partition(":")[2]

    @property
    def is_pretrained(self) -> bool:
        """True if the training of f_S starts from pretrained weights."""
        return self.weights != NO_WEIGHTS

    @property
    def weights_file(self) -> str | None:
        """The path of the pretrained weights; None without weights or with those of the library."""
        return None if self.weights in (NO_WEIGHTS, DEFAULT_WEIGHTS) else self.weights

    def resolved(self) -> ClassifierSpec:
        """Return the section with an absolute path of the weights, if they are a file."""
        if self.weights_file is None:
            return self
        return self.model_copy(update={"weights": absolute_path(self.weights_file)})

    @field_validator("name")
    @classmethod
    def _network_exists(cls, name: str) -> str:
        library, _, backbone = name.partition(":")
        if name in SMALL_CLASSIFIERS or (library == "timm" and backbone):
            return name
        if library != "torchvision" or not backbone:
            small = ", ".join(SMALL_CLASSIFIERS)
            raise ValueError(
                f"the network must be {small}, torchvision:NAME or timm:NAME, not {name}"
            )
        _check_torchvision_name(backbone)
        return name

    @field_validator("weights")
    @classmethod
    def _weights_are_readable(cls, weights: str) -> str:
        if weights in (NO_WEIGHTS, DEFAULT_WEIGHTS) or weights.endswith(WEIGHTS_SUFFIXES):
            return weights
        raise ValueError(
            f"weights must be {NO_WEIGHTS}, {DEFAULT_WEIGHTS}, or a file that ends in"
            f" {', '.join(WEIGHTS_SUFFIXES)}, not {weights}"
        )

    @model_validator(mode="after")
    def _options_fit_the_network(self) -> ClassifierSpec:
        if self.library is None and (self.is_pretrained or self.bottleneck is not None):
            raise ValueError(
                f"{self.name} takes neither weights nor a bottleneck: take a network of torchvision"
                " or timm, such as torchvision:resnet18"
            )
        if self.weights_sha256 is not None and self.weights_file is None:
            raise ValueError("weights_sha256 needs a file of weights")
        return self


class FeatureDiscriminatorSpec(Section):
    """The network of D_feat: an MLP on f_T's logits. CyCADA only."""

    width: Count = Field(default=500, description="Units of each hidden layer.")


class ModelSpec(Section):
    """The networks."""

    generator: GeneratorSpec = GeneratorSpec()
    discriminator: DiscriminatorSpec = DiscriminatorSpec()
    classifier: Annotated[
        ClassifierSpec, Fixed("f_S has this network, and is trained once per search")
    ] = ClassifierSpec()
    feature_discriminator: Annotated[
        FeatureDiscriminatorSpec, OnlyIn("cycada"), ClassifierSide()
    ] = FeatureDiscriminatorSpec()


def _check_torchvision_name(name: str) -> None:
    """Check that torchvision has a classification model of this name.

    Raises:
        ValueError: it has none, or one without a linear layer at its end.
    """
    from torchvision import models

    names = [*models.list_models(module=models)]
    if name in _WITHOUT_LINEAR_HEAD:
        raise ValueError(f"{name} does not end in a linear layer: take another network")
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"it has {', '.join(names)}"
        raise ValueError(f"torchvision has no classification model {name}; {hint}")
