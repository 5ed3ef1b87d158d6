"""The `model` section: the networks, by name and size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adaptune.spec.base import Count, Fixed, OnlyIn, Section


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

    width: Count = Field(
        default=16, description="Channels of the first convolution; they double up to eightfold."
    )
    layers: Annotated[int, Field(ge=1, le=5)] = Field(
        default=2, description="Stride-2 convolutions."
    )


class ClassifierSpec(Section):
    """The network of f_S and f_T."""

    name: Literal["lenet", "dtn", "resnet18"] = Field(
        default="lenet",
        description="Network. `lenet`: images of 16 to 64 px; `dtn`: 32 to 64 px;"
        " `resnet18`: 32 to 512 px.",
    )
    width: Annotated[int, Field(ge=2, multiple_of=2)] = Field(
        default=20,
        description="lenet only: channels of the first convolution;"
        " the other layers grow in proportion.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.5, description="lenet and dtn only: dropout probability."
    )


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
    feature_discriminator: Annotated[FeatureDiscriminatorSpec, OnlyIn("cycada")] = (
        FeatureDiscriminatorSpec()
    )
