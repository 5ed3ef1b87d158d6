"""The `training` section: everything about a trial's training but the loss weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from adaptune.spec.augment import AugmentSpec, GanAugmentSpec
from adaptune.spec.base import Count, Fixed, OnlyIn, Rate, Section

_USED_FOR_F_S = Fixed("it also applies to f_S, which is trained once per search")
_BUDGET = Fixed("early stopping needs the same budget for all trials")


def _true_as_name(value: object) -> object:
    """Return the name "true" for the Boolean that YAML makes of an unquoted `true`."""
    return "true" if value is True else value


SemanticLabels = Annotated[
    Literal["predicted", "true"],
    BeforeValidator(_true_as_name, json_schema_input_type=Literal["predicted", "true", True]),
]


class SourceClassifierSpec(Section):
    """The training of f_S on the labelled source, and of the target-supervised baseline."""

    steps: Count = Field(default=600, description="Updates.")
    batch_size: Count = Field(default=64, description="Images per update.")
    lr: Rate = Field(default=1e-3, description="Adam's learning rate.")


class TrainingSpec(Section):
    """The training of a trial, except for the loss weights."""

    epochs: Annotated[Count, _BUDGET] = Field(
        default=8, description="Budget of a trial that is not stopped early, in epochs."
    )
    steps_per_epoch: Annotated[Count, _BUDGET] = Field(
        default=100,
        description="Generator updates per epoch, whatever the size of the data set.",
    )
    batch_size: Count = Field(
        default=32,
        description="Image pairs per update, over all workers of the trial.",
    )
    generator_lr: Rate = Field(default=2e-4, description="Adam's learning rate for G_st and G_ts.")
    discriminator_lr: Rate = Field(
        default=2e-4, description="Adam's learning rate for D_s and D_t."
    )
    classifier_lr: Rate = Field(default=1e-4, description="Adam's learning rate for f_T.")
    feature_discriminator_lr: Annotated[Rate, OnlyIn("cycada")] = Field(
        default=1e-4, description="Adam's learning rate for D_feat. CyCADA only."
    )
    beta1: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.5, description="Adam's β₁, for all networks."
    )
    beta2: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.999, description="Adam's β₂, for all networks."
    )
    init_gain: Annotated[float, Field(gt=0)] = Field(
        default=0.02,
        description="Standard deviation of the initial weights of generators and image"
        " discriminators.",
    )
    lr_decay_from: Annotated[float, Field(ge=0, le=1), _USED_FOR_F_S] = Field(
        default=0.5,
        description="Fraction of the run after which the learning rates fall linearly to 0;"
        " 1 keeps them constant.",
    )
    gan_loss: Literal["lsgan", "log"] = Field(
        default="lsgan",
        description="GAN loss: least squares (Mao et al. 2017)"
        " or non-saturating log loss (Goodfellow et al. 2014).",
    )
    semantic_labels: Annotated[SemanticLabels, OnlyIn("cycada")] = Field(
        default="predicted",
        description="Classes that a translation of a source image should keep: those that f_S"
        " predicts, or the true labels. CyCADA only.",
    )
    semantic_gate: Annotated[Annotated[float, Field(gt=0)] | None, OnlyIn("cycada")] = Field(
        default=None,
        description="The semantic term starts once f_T's unweighted task loss is this low;"
        " `null` starts it at once. CyCADA only.",
    )
    task_images: Literal["translated", "both"] = Field(
        default="translated",
        description="Images from which f_T learns the source labels: translated source images,"
        " as in CyCADA, or the source images as well.",
    )
    feature_gate: Annotated[float, Field(ge=0, le=1), OnlyIn("cycada")] = Field(
        default=0.6,
        description="f_T gets the feature term only if D_feat's accuracy on the batch is above"
        " this. CyCADA only.",
    )
    pool_size: Annotated[int, Field(ge=0)] = Field(
        default=50,
        description="Past translations kept per image discriminator and worker; 0 keeps none.",
    )
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Decay of the moving average of the generators' weights, which replaces them"
        " for evaluation and export; 0 switches it off.",
    )
    classifier_ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Decay of the moving average of f_T's weights, which replaces them for"
        " evaluation and export; 0 switches it off.",
    )
    augment: Annotated[AugmentSpec, _USED_FOR_F_S] = AugmentSpec()
    gan_augment: GanAugmentSpec = GanAugmentSpec()
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Number format of the forward passes; bf16 uses autocast."
    )
    tf32: bool = Field(
        default=True,
        description="Compute fp32 matrix products and convolutions in TF32 on GPUs that have it.",
    )
    compile: bool = Field(
        default=False,
        description="Compile the trained networks with `torch.compile`. It costs about a minute"
        " per trial and pays off for large images only.",
    )
    channels_last: bool = Field(
        default=True,
        description="Store images as NHWC, which makes convolutions faster on CPUs and GPUs.",
    )
    source: Annotated[SourceClassifierSpec, Fixed("f_S is trained once per search")] = (
        SourceClassifierSpec()
    )
