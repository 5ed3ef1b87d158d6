"""The two schemas of adaptune: a whole search space file, and one trial of its search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import ceil, prod
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from adaptune.spec.algorithms import Grid
from adaptune.spec.base import Method, Section, is_section
from adaptune.spec.data import DataSpec
from adaptune.spec.distributions import Choice, Distribution, Int, Value
from adaptune.spec.evaluation import EvaluationSpec
from adaptune.spec.loss_terms import LossWeights
from adaptune.spec.model import ModelSpec
from adaptune.spec.resources import Execution, ResourcesSpec
from adaptune.spec.search import SearchOptions
from adaptune.spec.searchable import Searchable, searchable_paths
from adaptune.spec.sharing import Obstacle, obstacle_of_values, sampler_obstacle, shared_paths
from adaptune.spec.sizes import size_fault
from adaptune.spec.storage import StorageSpec
from adaptune.spec.tracking import TrackingSpec
from adaptune.spec.training import TrainingSpec
from adaptune.spec.tree import put

GRID_WITH_CONDITION = "sampler grid tries all combinations, which excludes `when`"
SEARCHABLE = ("loss_weights", "training", "model")

_METHOD = "CyCADA, or CycleGAN, which adapts the images only."
_SEED = "Seed from which all randomness is derived."


class TrialSpec(Section):
    """One trial, ready to train: it contains no distribution."""

    method: Method = Field(default="cycada", description=_METHOD)
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description=_SEED)
    data: DataSpec
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    loss_weights: LossWeights = LossWeights()

    @property
    def has_semantic_term(self) -> bool:
        """True if the generators minimise the semantic term, which reads the labels of f_S."""
        return self.method == "cycada" and self.loss_weights.semantic > 0

    @model_validator(mode="after")
    def _labelled_target_images_for_their_term(self) -> TrialSpec:
        if self.loss_weights.task_target and not self.data.target.train_labels:
            raise ValueError(
                "loss_weights.task_target needs labelled target images: set"
                " data.target.train_labels to their number per class"
            )
        return self

    @model_validator(mode="after")
    def _g_ts_has_a_term(self) -> TrialSpec:
        weights = self.loss_weights
        trains_both = weights.adversarial or weights.cycle or weights.identity
        factor = self.training.target_to_source.semantic
        if self.has_semantic_term and not factor and not trains_both:
            raise ValueError(
                "training.target_to_source.semantic: 0 leaves no term that trains G_ts: set"
                " loss_weights.cycle or loss_weights.adversarial above 0, or leave the factor out"
            )
        return self

    @model_validator(mode="after")
    def _adapted_labels_have_a_moving_average(self) -> TrialSpec:
        training = self.training
        is_adapted = self.method == "cycada" and training.semantic_target_labels == "adapted"
        if is_adapted and not training.classifier_ema_decay:
            raise ValueError(
                "training.semantic_target_labels: adapted reads f_T's moving average: set"
                " training.classifier_ema_decay, for example to 0.99"
            )
        return self

    @model_validator(mode="after")
    def _teacher_for_the_consistency_term(self) -> TrialSpec:
        if self.loss_weights.consistency and not self.training.classifier_ema_decay:
            raise ValueError(
                "loss_weights.consistency needs the moving average of f_T, which is the teacher:"
                " set training.classifier_ema_decay, for example to 0.99"
            )
        return self

    @model_validator(mode="after")
    def _networks_fit_the_images(self) -> TrialSpec:
        fault = size_fault(self.data.source.size, self.model)
        if fault is not None:
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _options_fit_the_classifier(self) -> TrialSpec:
        classifier = self.model.classifier
        channels = self.data.source.channels
        if classifier.is_pretrained and channels not in (1, 3):
            raise ValueError(
                f"pretrained weights take images of 1 or 3 channels, not {channels}: set"
                " data.source.channels and data.target.channels, or model.classifier.weights: none"
            )
        if self.training.adapt_batch_norm and classifier.name == "lenet":
            raise ValueError(
                "training.adapt_batch_norm: classifier lenet has no batch norm: take another"
                " classifier, or leave the option out"
            )
        if classifier.library is None and self.training.backbone_lr_factor is not None:
            raise ValueError(
                f"training.backbone_lr_factor is for networks of torchvision and timm, not for"
                f" {classifier.name}: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _augmentation_fits_the_channels(self) -> TrialSpec:
        channels = self.data.source.channels
        self.training.augment.check_channels(channels)
        self.training.d_augment.check_channels(channels)
        strong_view = self.training.consistency.augment
        strong_view.check_channels(channels, "training.consistency.augment")
        return self


def _searchable_paths() -> Iterator[str]:
    for name in SEARCHABLE:
        section = TrialSpec.model_fields[name].annotation
        assert is_section(section)
        for path in searchable_paths(section):
            yield f"{name}.{path}"


# The dotted path of every field that may be searched.
SEARCHABLE_PATHS = tuple(_searchable_paths())


class SearchSpec(Section):
    """A whole search space file. Distributions are in the place of the values that they draw."""

    format: Literal[2] = Field(
        default=2, description="Version of the format of this file; may be left out."
    )
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of the search, of letters, digits, `.`, `_` and `-`. Its results go to"
        " the folder `<storage.out>/<name>/`.",
    )
    method: Method = Field(default="cycada", description=_METHOD)
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description=_SEED)
    execution: Execution = Field(
        default="ray_train",
        description="Runner of the trials: Ray Train workers, or (`in_process`) the trial's own"
        " process, which has one worker and starts faster.",
    )
    data: DataSpec
    model: Searchable[ModelSpec] = Searchable[ModelSpec]()
    training: Searchable[TrainingSpec] = Searchable[TrainingSpec]()
    loss_weights: Searchable[LossWeights] = Searchable[LossWeights]()
    search: SearchOptions = SearchOptions()
    resources: ResourcesSpec = ResourcesSpec()
    storage: StorageSpec = StorageSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    tracking: TrackingSpec = TrackingSpec()

    @model_validator(mode="after")
    def _no_conditions_on_a_grid(self) -> SearchSpec:
        is_conditional = any(distribution.when for distribution in self.space.values())
        if isinstance(self.search.sampler, Grid) and is_conditional:
            raise ValueError(GRID_WITH_CONDITION)
        return self

    @model_validator(mode="after")
    def _trials_can_share_a_gan(self) -> SearchSpec:
        obstacle = self.sharing_obstacle
        # Without a space, this may be a file whose distributions are checked apart.
        if self.space and self.search.group_size > 1 and obstacle is not None:
            raise ValueError(f"search.classifiers_per_gan: {obstacle}")
        return self

    @cached_property
    def space(self) -> dict[str, Distribution]:
        """The distributions by dotted path, sorted by path: a sampler draws in this order."""
        paths: dict[str, Distribution] = {}
        for name in SEARCHABLE:
            section: Searchable[Section] = getattr(self, name)
            for path, distribution in section.distributions().items():
                paths[f"{name}.{path}"] = distribution
        return dict(sorted(paths.items()))

    @property
    def generator_side(self) -> tuple[str, ...]:
        """The searched paths that trials which share a GAN have in common, sorted.

        They are those that affect the GAN, and those in their conditions `when`.
        """
        return shared_paths(self.space)

    @property
    def classifier_side(self) -> tuple[str, ...]:
        """The other searched paths, sorted: they affect f_T and D_feat only."""
        shared = self.generator_side
        return tuple(path for path in self.space if path not in shared)

    @property
    def sharing_obstacle(self) -> Obstacle | None:
        """The reason that no trials of this search can share a GAN; None if they can."""
        return sampler_obstacle(self.search.sampler) or obstacle_of_values(
            self.space, self.method, dict(self.training)
        )

    @property
    def epochs(self) -> int:
        """Budget of a trial that is not stopped early, in epochs."""
        return self._first_trial.training.epochs

    @property
    def steps_per_epoch(self) -> int:
        """Generator updates per epoch."""
        return self._first_trial.training.steps_per_epoch

    @property
    def accumulate(self) -> int:
        """Parts of a batch that are computed one after another."""
        return self._first_trial.training.accumulate

    @property
    def has_cuda_graph(self) -> bool:
        """True if the updates of all trials are to be recorded as CUDA graphs."""
        return self._first_trial.training.cuda_graph == "on"

    @property
    def batch_sizes(self) -> Sequence[int]:
        """Every batch size (image pairs per update) that a trial may have."""
        match self.space.get("training.batch_size"):
            case Int() as distribution:
                return distribution.drawable()
            case Choice(values=values):
                return [size for size in values if isinstance(size, int)]
        return [self._first_trial.training.batch_size]

    @property
    def planned_trials(self) -> int:
        """Trials that the search runs: `search.trials`, or fewer if a grid ends before."""
        sampler = self.search.sampler
        if not isinstance(sampler, Grid):
            return self.search.trials
        values_per_path = [
            len(distribution.grid_values(sampler.points)) for distribution in self.space.values()
        ]
        combinations = prod(values_per_path)
        return min(self.search.trials, combinations + len(self.search.start_points))

    @property
    def planned_groups(self) -> int:
        """Groups of trials that share a GAN; start points may make them more."""
        return ceil(self.planned_trials / self.search.group_size)

    def trial(self, values: Mapping[str, Value], seed: int | None = None) -> TrialSpec:
        """Return the trial with these values.

        A distribution without a value is replaced by its `otherwise` if it is conditional,
        otherwise by its first bound.

        Args:
            values: values by dotted path.
            seed: the trial's own seed; None keeps the seed of the search.

        Raises:
            pydantic.ValidationError: a value does not fit its field.
        """
        tree = self.model_dump(include=set(TrialSpec.model_fields))
        for path, distribution in self.space.items():
            put(tree, path, distribution.stand_in())
        for path, value in values.items():
            put(tree, path, value)
        if seed is not None:
            tree["seed"] = seed
        return TrialSpec.model_validate(tree)

    def with_group_size(self, trials: int) -> SearchSpec:
        """Return this search with a number of trials that share a GAN instead of `auto`."""
        search = self.search.model_copy(update={"classifiers_per_gan": trials})
        return self.model_copy(update={"search": search})

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed, without what was computed from the old ones."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("space", "_first_trial"):
            vars(copied).pop(name, None)
        return copied

    @cached_property
    def _first_trial(self) -> TrialSpec:
        """A trial of this search, from which to read what all trials share."""
        return self.trial({})
