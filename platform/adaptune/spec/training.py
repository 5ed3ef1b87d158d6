"""The `training` section: everything about a trial's training but the loss weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from adaptune.spec.augment import AugmentSpec, GanAugmentSpec
from adaptune.spec.base import ClassifierSide, Count, Fixed, OnlyIn, Rate, Section
from adaptune.spec.consistency import ConsistencySpec
from adaptune.spec.directions import DirectionFactors
from adaptune.spec.discriminator_augment import DiscriminatorAugmentSpec

_USED_FOR_F_S = Fixed("it also applies to f_S, which is trained once per search")
_BUDGET = Fixed("early stopping needs the same budget for all trials")
_OF_F_T = ClassifierSide()


def _true_as_name(value: object) -> object:
    """Return the name "true" for the Boolean that YAML makes of an unquoted `true`."""
    return "true" if value is True else value


SemanticLabels = Annotated[
    Literal["predicted", "true"],
    BeforeValidator(_true_as_name, json_schema_input_type=Literal["predicted", "true", True]),
]


OptimizerName = Literal["adam", "sgd"]
WeightDecay = Annotated[float, Field(ge=0, lt=1)]
Factor = Annotated[float, Field(ge=0, le=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


class SourceClassifierSpec(Section):
    """The training of f_S on the labelled source, and of the target-supervised baseline."""

    steps: Count = Field(default=600, description="Updates.")
    batch_size: Count = Field(default=64, description="Images per update.")
    lr: Rate = Field(default=1e-3, description="Learning rate.")
    optimizer: OptimizerName = Field(
        default="adam", description="Adam, or stochastic gradient descent with Nesterov momentum."
    )
    weight_decay: WeightDecay = Field(
        default=0.0, description="Weight of the L2 penalty, which is added to the gradient."
    )
    momentum: Momentum = Field(default=0.9, description="sgd only: Nesterov momentum.")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Part of each label that is spread evenly over all classes; SHOT has 0.1.",
    )
    fourier_beta: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.0,
        description="The source images from which f_S learns get the lowest frequencies of target"
        " images, as `training.fourier_beta` gives them to f_T. The semantic term then keeps"
        " classes in the colours of the target, too. *Source only* is trained without it.",
    )


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
    accumulate: Annotated[Count, Fixed("it changes memory and time only")] = Field(
        default=1,
        description="Parts in which generators and image discriminators compute the pairs of an"
        " update, one after another, which takes less memory and gives the same gradients. f_T and"
        " D_feat compute all pairs at once.",
    )
    generator_lr: Rate = Field(default=2e-4, description="Adam's learning rate for G_st and G_ts.")
    discriminator_lr: Rate = Field(
        default=2e-4, description="Adam's learning rate for D_s and D_t."
    )
    classifier_lr: Annotated[Rate, _OF_F_T] = Field(
        default=1e-4, description="Learning rate for f_T."
    )
    classifier_optimizer: Annotated[OptimizerName, _OF_F_T] = Field(
        default="adam",
        description="Optimizer of f_T: Adam, or stochastic gradient descent with Nesterov"
        " momentum.",
    )
    classifier_weight_decay: Annotated[WeightDecay, _OF_F_T] = Field(
        default=0.0,
        description="Weight of the L2 penalty of f_T, which is added to the gradient.",
    )
    classifier_momentum: Annotated[Momentum, _OF_F_T] = Field(
        default=0.9, description="sgd only: Nesterov momentum for f_T."
    )
    backbone_lr_factor: Annotated[Factor | None, _USED_FOR_F_S] = Field(
        default=None,
        description="Learning rate of a backbone of torchvision or timm, relative to that of the"
        " other layers of f_S and f_T. `null`: 0.1 with pretrained weights, otherwise 1.",
    )
    feature_discriminator_lr: Annotated[Rate, OnlyIn("cycada"), _OF_F_T] = Field(
        default=1e-4, description="Adam's learning rate for D_feat. CyCADA only."
    )
    beta1: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.5, description="Adam's β₁, for all networks of a trial."
    )
    classifier_beta1: Annotated[Annotated[float, Field(ge=0, lt=1)] | None, _OF_F_T] = Field(
        default=None,
        description="Adam's β₁ for f_T and D_feat; CyCADA's code has 0.9. `null`: that of `beta1`.",
    )
    beta2: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.999, description="Adam's β₂, for all networks of a trial."
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
    classifier_schedule: Annotated[Literal["linear", "tllib"], _USED_FOR_F_S] = Field(
        default="linear",
        description="Schedule of the learning rates of f_S and f_T: as `lr_decay_from` sets it, or"
        " (1 + 10 p)^-0.75 at the fraction p of the run, as in TLLib and SHOT.",
    )
    gan_loss: Literal["lsgan", "log", "hinge"] = Field(
        default="lsgan",
        description="GAN loss: least squares (Mao et al. 2017), non-saturating log loss"
        " (Goodfellow et al. 2014), or hinge loss (Lim and Ye 2017).",
    )
    gradient_penalty_every: Count = Field(
        default=16,
        description="The gradient penalty is computed in every such update, with a weight that is"
        " so many times higher (Karras et al. 2020).",
    )
    target_to_source: DirectionFactors = DirectionFactors()
    semantic_labels: Annotated[SemanticLabels, OnlyIn("cycada")] = Field(
        default="predicted",
        description="Classes that a translation of a source image should keep: those that f_S"
        " predicts, or the true labels. CyCADA only.",
    )
    semantic_target_labels: Annotated[Literal["predicted", "adapted"], OnlyIn("cycada")] = Field(
        default="predicted",
        description="Classes that a translation of a target image should keep: those that f_S"
        " predicts, or (`adapted`) those that f_T's moving average predicts if it is confident."
        " CyCADA only.",
    )
    semantic_confidence: Annotated[float, Field(ge=0, le=1), OnlyIn("cycada")] = Field(
        default=0.9,
        description="`semantic_target_labels: adapted` takes f_T's prediction if its probability is"
        " at least this, otherwise that of f_S. CyCADA only.",
    )
    semantic_gate: Annotated[Annotated[float, Field(gt=0)] | None, OnlyIn("cycada")] = Field(
        default=None,
        description="The semantic term starts once f_T's unweighted task loss is this low;"
        " `null` starts it at once. CyCADA only.",
    )
    classifier_from: Annotated[float, Field(ge=0, lt=1), _OF_F_T] = Field(
        default=0.0,
        description="Fraction of the run before which f_T and D_feat are not trained: until then,"
        " f_T is f_S, and only the generators and the image discriminators learn. A scheduler must"
        " stop no trial before.",
    )
    freeze_head: Annotated[bool, _OF_F_T] = Field(
        default=False,
        description="Keep the last linear layer of f_T as it is in f_S, as SHOT does (Liang et al."
        " 2020).",
    )
    task_images: Annotated[Literal["translated", "both"], _OF_F_T] = Field(
        default="translated",
        description="Images from which f_T learns the source labels: translated source images,"
        " as in CyCADA, or the source images as well.",
    )
    fourier_beta: Annotated[float, Field(ge=0, le=0.5), _OF_F_T] = Field(
        default=0.0,
        description="The images from which f_T learns the source labels get the lowest frequencies"
        " of target images, and so their colours and brightness (FDA, Yang & Soatto 2020). The"
        " value is half the edge of the square of these frequencies, relative to the edge of an"
        " image; the paper has 0.01 to 0.09. 0 changes nothing.",
    )
    feature_gate: Annotated[float, Field(ge=0, le=1), OnlyIn("cycada"), _OF_F_T] = Field(
        default=0.6,
        description="f_T gets the feature term only if D_feat's accuracy on the batch is above"
        " this. CyCADA only.",
    )
    confusion_temperature: Annotated[float, Field(gt=0), OnlyIn("cycada"), _OF_F_T] = Field(
        default=2.5,
        description="Divisor of f_T's logits in the confusion term; a larger one makes predictions"
        " less certain. CyCADA only.",
    )
    consistency: Annotated[ConsistencySpec, OnlyIn("cycada"), _OF_F_T] = ConsistencySpec()
    pool_size: Annotated[int, Field(ge=0)] = Field(
        default=50,
        description="Past translations kept per image discriminator and worker, in images or"
        " batches as `pool_unit` sets it; 0 keeps none.",
    )
    pool_unit: Literal["images", "batches"] = Field(
        default="images",
        description="Unit of `pool_size`. CycleGAN's 50 images are 50 batches of one image.",
    )
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Decay of the moving average of the generators' weights, which replaces them"
        " for evaluation and export; 0 switches it off.",
    )
    classifier_ema_decay: Annotated[float, Field(ge=0, lt=1), _OF_F_T] = Field(
        default=0.0,
        description="Decay of the moving average of f_T's weights, which replaces them for"
        " evaluation and export, and is the teacher of the consistency term; 0 switches it off.",
    )
    source_sampling: Annotated[Literal["natural", "balanced"], _USED_FOR_F_S] = Field(
        default="natural",
        description="Labelled images of an update: each image of the source equally often, or"
        " (`balanced`) each class equally often. It also applies to f_S and the baselines.",
    )
    adapt_batch_norm: Annotated[bool, Fixed("the baselines get it as well")] = Field(
        default=False,
        description="Re-estimate the batch norm statistics on `target_train` before f_T, and each"
        " baseline, is evaluated or exported (AdaBN, Li et al. 2018). It needs a classifier with"
        " batch norm, which lenet does not have.",
    )
    augment: Annotated[AugmentSpec, _USED_FOR_F_S] = AugmentSpec()
    gan_augment: GanAugmentSpec = GanAugmentSpec()
    d_augment: DiscriminatorAugmentSpec = DiscriminatorAugmentSpec()
    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="fp32",
        description="Number format of the forward passes; bf16 uses autocast. `auto`: bf16 on GPUs"
        " that compute it in hardware (from Ampere on), fp32 elsewhere.",
    )
    recompute_blocks: Annotated[bool, Fixed("it changes memory and time only")] = Field(
        default=False,
        description="Compute the residual blocks of the generators again in the backward pass"
        " instead of storing their activations. It takes less memory and more time, with the same"
        " results.",
    )
    tf32: bool = Field(
        default=True,
        description="Compute fp32 matrix products and convolutions in TF32 on GPUs that have it.",
    )
    compile: bool = Field(
        default=False,
        description="Compile the trained networks with `torch.compile`. It costs each worker about"
        " a minute in its first trial, and a part of it when the sizes of batches change.",
    )
    cuda_graph: Annotated[
        Literal["auto", "on", "off"], Fixed("it changes memory and time only")
    ] = Field(
        default="auto",
        description="Record an update as a CUDA graph after the first ones, and replay it from then"
        " on. It takes more memory, and saves the time in which the CPU starts each operation. Only"
        " for trials of one worker on a GPU. `auto`: off, until its gain has been measured.",
    )
    channels_last: Literal["auto"] | bool = Field(
        default="auto",
        description="Store images as NHWC, which makes convolutions faster. `auto`: in classifiers,"
        " and with `compile` in all networks; without it, each instance norm of the generators and"
        " the image discriminators would copy its images to NCHW.",
    )
    source: Annotated[SourceClassifierSpec, Fixed("f_S is trained once per search")] = (
        SourceClassifierSpec()
    )

    def pool_images(self, workers: int) -> int:
        """Return the images that each image pool of a worker keeps."""
        if self.pool_unit == "images":
            return self.pool_size
        return self.pool_size * (self.batch_size // workers)
