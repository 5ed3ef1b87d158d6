"""The schema of a search space file: one frozen pydantic model a section.

Sections hold plain values only. The distributions of a search stand apart, in `SearchSpec.space`,
keyed by the dotted path of the number they replace (`loss_weights.cycle`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, field_validator, model_validator

from adaptune.spec.algorithms import Asha, Gp, Grid, Nsga2, Sampler, Scheduler, Tpe
from adaptune.spec.base import Count, Section
from adaptune.spec.distributions import Distribution, Value

Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
# YAML takes a bare `true` for a truth value.
SemanticLabels = Annotated[
    Literal["predicted", "true"], BeforeValidator(lambda value: "true" if value is True else value)
]

# The image sizes (px) that each network takes; the flattened layers of the LeNets grow with size².
CLASSIFIER_SIZES = {"lenet": (16, 64), "dtn": (32, 64), "resnet18": (32, 256)}
SEARCHABLE = ("loss_weights", "training", "model")


class DomainSpec(Section):
    """A data set by its registry name, and how its images are brought to a common form."""

    domain: str = Field(description="registry name, or imagefolder:PATH, or parquet:PATH")
    crop: Count | None = Field(
        default=None, description="edge in px of the centre box that is kept"
    )
    size: int = Field(
        default=32, ge=16, le=256, description="edge in px after resizing; a power of two"
    )
    channels: Literal[1, 3] = 3
    limit: Count | None = Field(default=None, description="keep at most this many samples (seeded)")

    @field_validator("size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size & (size - 1):
            raise ValueError(f"size must be a power of two from 16 to 256, not {size}")
        return size


class DataSpec(Section):
    """The two domains and how the target is split."""

    source: DomainSpec
    target: DomainSpec
    root: str = Field(
        default="~/.cache/adaptune/data", description="where torchvision's data sets lie"
    )
    source_val_fraction: Fraction = 0.1
    target_val_fraction: Fraction = 0.2
    target_test_fraction: Fraction = 0.2

    @model_validator(mode="after")
    def _fits(self) -> DataSpec:
        ours, theirs = self.source, self.target
        if (ours.size, ours.channels) != (theirs.size, theirs.channels):
            raise ValueError(
                f"source and target must agree in size and channels: source is {ours.size} px with"
                f" {ours.channels}, target {theirs.size} px with {theirs.channels}"
            )
        if self.target_val_fraction + self.target_test_fraction >= 1:
            raise ValueError(
                "target_val_fraction + target_test_fraction must leave room for training"
            )
        return self


class GeneratorSpec(Section):
    """`resnet` is CycleGAN's; `unshuffle` works on space-to-depth blocks, for small images."""

    name: Literal["resnet", "unshuffle"] = "unshuffle"
    width: Count = 32
    blocks: Annotated[int, Field(ge=0)] = 2
    upsample: Literal["resize_conv", "transposed_conv"] = Field(
        default="resize_conv", description="resnet only"
    )
    factor: Literal[2, 4, 8] = Field(default=4, description="unshuffle only: px a block's edge")


class DiscriminatorSpec(Section):
    """A PatchGAN with `layers` stride-2 convolutions."""

    width: Count = 16
    layers: Annotated[int, Field(ge=1, le=5)] = 2


class ClassifierSpec(Section):
    """The net of f_S and f_T."""

    name: Literal["lenet", "dtn", "resnet18"] = "lenet"
    width: Annotated[int, Field(ge=2, multiple_of=2)] = Field(
        default=20, description="lenet only: its first maps"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5


class FeatureDiscriminatorSpec(Section):
    """The MLP that tells f_T's logits of translated source images from those of target images."""

    width: Count = 500


class ModelSpec(Section):
    generator: GeneratorSpec = GeneratorSpec()
    discriminator: DiscriminatorSpec = DiscriminatorSpec()
    classifier: ClassifierSpec = ClassifierSpec()
    feature_discriminator: FeatureDiscriminatorSpec = FeatureDiscriminatorSpec()


class AugmentSpec(Section):
    """Random affine changes of what f_T sees; never a flip."""

    shift: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.0, description="of the image's edge"
    )
    rotate: Annotated[float, Field(ge=0, le=45)] = Field(default=0.0, description="degrees")
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="relative, both ways"
    )


class SourceStageSpec(Section):
    """Step 1: f_S on the labelled source. Once a search."""

    steps: Count = 600
    batch_size: Count = 64
    lr: Rate = 1e-3


class TrainingSpec(Section):
    """Everything about a trial's training but the loss weights."""

    epochs: Count = Field(default=8, description="the budget of a trial that is not stopped")
    steps_per_epoch: Count = 100
    batch_size: Count = Field(default=32, description="pairs an update, over all workers")
    generator_lr: Rate = 2e-4
    discriminator_lr: Rate = 2e-4
    classifier_lr: Rate = 1e-4
    feature_discriminator_lr: Rate = 1e-4
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    init_gain: Annotated[float, Field(gt=0)] = 0.02
    lr_decay_from: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5,
        description="part of the run after which the rates fall linearly to 0; 1 is never",
    )
    gan_loss: Literal["lsgan", "log"] = "lsgan"
    semantic_labels: SemanticLabels = "predicted"
    semantic_gate: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="the semantic term starts once f_T's unweighted task loss is this low",
    )
    task_images: Literal["translated", "both"] = Field(
        default="translated",
        description="what f_T learns source labels from; both: from the source images, too",
    )
    feature_gate: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.6,
        description="f_T learns from D_feat only where D_feat's batch accuracy is above this",
    )
    pool_size: Annotated[int, Field(ge=0)] = 50
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="generators; 0 is off"
    )
    classifier_ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="f_T; 0 is off"
    )
    augment: AugmentSpec = AugmentSpec()
    precision: Literal["fp32", "bf16"] = "fp32"
    tf32: bool = Field(
        default=True, description="fp32 products and convolutions in TF32, on GPUs that have it"
    )
    compile: bool = Field(default=False, description="torch.compile for the trained networks")
    channels_last: bool = Field(
        default=True, description="convolutions in NHWC memory: faster on CPUs and GPUs"
    )
    source: SourceStageSpec = SourceStageSpec()


class LossWeights(Section):
    """The λ: absolute and independent. 0 leaves the term out, forward passes included."""

    task: Weight = 1.0
    adversarial: Weight = 1.0
    cycle: Weight = 10.0
    identity: Weight = 0.0
    semantic: Weight = 1.0
    feature: Weight = 0.1
    information: Weight = 0.0


class TrialSpec(Section):
    """One trial, ready to train: no distribution is left in it."""

    method: Literal["cycada", "cyclegan"] = "cycada"
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataSpec
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    loss_weights: LossWeights = LossWeights()

    @model_validator(mode="after")
    def _sizes_fit(self) -> TrialSpec:
        size, nets = self.data.source.size, self.model
        low, high = CLASSIFIER_SIZES[nets.classifier.name]
        if not low <= size <= high:
            raise ValueError(
                f"classifier {nets.classifier.name} takes {low} to {high} px, not {size}"
            )
        if size >> nets.discriminator.layers < 4:
            raise ValueError(
                f"a discriminator of {nets.discriminator.layers} layers leaves less than 4 px of {size}:"
                " take fewer layers"
            )
        if nets.generator.name == "unshuffle" and size // nets.generator.factor < 4:
            raise ValueError(
                f"generator factor {nets.generator.factor} leaves less than 4 px of {size}"
            )
        return self


class SearchSection(Section):
    metric: Literal[
        "target_val_accuracy",
        "source_val",
        "entropy",
        "infomax",
        "v_measure",
        "ami",
        "bnm",
        "importance_weighted",
        "dev",
        "snd",
        "ensemble",
    ] = Field(
        default="target_val_accuracy",
        description="what guides the search; all others need no target label",
    )
    trials: Count = 20
    sampler: Sampler = Tpe()
    startup_trials: Count = Field(
        default=6, description="trials before tpe, gp and cmaes model the results"
    )
    scheduler: Scheduler = Asha()
    start_points: tuple[dict[str, Value], ...] = ()
    health: Literal["off", "warn", "stop"] = Field(
        default="warn", description="what to do about a GAN gone wrong: collapse, label flip, …"
    )
    warm_start: tuple[str, ...] = Field(
        default=(), description="results folders whose trials count as seen"
    )

    @model_validator(mode="after")
    def _warm(self) -> SearchSection:
        if self.warm_start and not isinstance(self.sampler, Tpe | Gp):
            raise ValueError(
                f"warm_start: {self.sampler.name} cannot learn from other studies; tpe and gp can"
            )
        return self

    @property
    def objectives(self) -> int:
        """1, or 2 where device seconds count as well."""
        return 2 if isinstance(self.sampler, Nsga2) else 1


class ResourcesSpec(Section):
    workers_per_trial: Literal["auto"] | Count = "auto"
    cpus_per_worker: Count = 1
    gpus_per_worker: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    accelerator_type: str | None = Field(
        default=None, description="Ray's name of a GPU, such as A100"
    )
    label_selector: dict[str, str] | None = Field(
        default=None, description="labels of the nodes to run on"
    )
    placement_strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = "PACK"
    max_concurrent: Literal["auto"] | Count = "auto"
    fresh_workers: bool = Field(
        default=False, description="new workers for each trial, for isolation"
    )
    wait_for_nodes_s: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="for nodes that a trial needs"
    )


class StorageSpec(Section):
    out: str = Field(default="results", description="folder that holds the folder of each search")
    remote: str | None = Field(
        default=None,
        description="s3://… or gs://…: checkpoints go there, and a copy of all results",
    )
    study: str | None = Field(
        default=None,
        description="the study's database (sqlite:///…, postgresql://…); none: a journal in the results",
    )
    keep_checkpoints: Annotated[int, Field(ge=2)] = Field(
        default=2, description="newest of a trial, beside its best"
    )
    checkpoint_budget_gb: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="of all trials together; what is missed least goes first"
    )

    @field_validator("remote")
    @classmethod
    def _uri(cls, remote: str | None) -> str | None:
        if remote is not None and "://" not in remote:
            raise ValueError(
                f"remote must be a URI such as s3://bucket/results, not {remote}; folders go into `out`"
            )
        return remote


class EvaluationSpec(Section):
    yardsticks: Literal["auto"] | bool = Field(
        default="auto",
        description="train the rivals to compare with; auto: the supervised one for built-in data only",
    )


class SearchSpec(Section):
    """A whole search space file. `space` holds its distributions; the sections, stand-ins for them."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    method: Literal["cycada", "cyclegan"] = "cycada"
    seed: Annotated[int, Field(ge=0)] = 0
    execution: Literal["auto", "ray_train", "in_process"] = "auto"
    data: DataSpec
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    loss_weights: LossWeights = LossWeights()
    search: SearchSection = SearchSection()
    resources: ResourcesSpec = ResourcesSpec()
    storage: StorageSpec = StorageSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    space: dict[str, Distribution] = Field(default_factory=dict, exclude=True)

    @model_validator(mode="after")
    def _no_conditions_on_a_grid(self) -> SearchSpec:
        if isinstance(self.search.sampler, Grid) and any(
            distribution.when for distribution in self.space.values()
        ):
            raise ValueError(
                "a grid has all combinations: it cannot leave out what a `when` does not draw"
            )
        return self

    def trial(self, values: Mapping[str, Value], seed: int | None = None) -> TrialSpec:
        """The trial with `values` (dotted path → value) put in.

        Raises:
            pydantic.ValidationError: a value does not fit its field.
        """
        tree = self.model_dump(include=set(TrialSpec.model_fields))
        for path, value in values.items():
            put(tree, path, value)
        if seed is not None:
            tree["seed"] = seed
        return TrialSpec.model_validate(tree)


def value_at(tree: Mapping[str, Any], path: str) -> Value:
    """The value at a dotted path.

    Raises:
        KeyError: there is none.
    """
    for key in path.split("."):
        tree = tree[key]
    return cast(Value, tree)


def put(tree: dict[str, object], path: str, value: object) -> None:
    """Set the value at a dotted path, making the sections on the way."""
    *sections, key = path.split(".")
    node = tree
    for section in sections:
        child = node.setdefault(section, {})
        if not isinstance(child, dict):
            raise KeyError(path)
        node = child
    node[key] = value
