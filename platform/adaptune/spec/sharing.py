"""The settings that trials which share a GAN have in common, and obstacles to sharing one.

The generators and the image discriminators do not depend on f_T, unless one of a few settings makes
them. Trials that differ in settings of f_T and D_feat only can therefore train on one GAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptune.spec.algorithms import AnySampler, Curves, Gp, Random, Tpe
from adaptune.spec.base import ClassifierSide, Section, fields_along
from adaptune.spec.distributions import Distribution
from adaptune.spec.loss_terms import LossWeights, terms_of
from adaptune.spec.model import ModelSpec
from adaptune.spec.training import TrainingSpec

# Settings of CyCADA that make the GAN depend on f_T, with the value that does not.
_READERS_OF_F_T = {"semantic_gate": None, "semantic_target_labels": "predicted"}

_SECTIONS: dict[str, type[Section]] = {
    "loss_weights": LossWeights,
    "training": TrainingSpec,
    "model": ModelSpec,
}


@dataclass(frozen=True)
class Obstacle:
    """A reason that the trials of a search cannot share a GAN.

    Attributes:
        reason: the reason, as a clause.
        remedy: the change of the search space file that removes it, in the imperative.
    """

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}, or set search.classifiers_per_gan: 1"


def is_classifier_side(path: str) -> bool:
    """Return whether the field at a dotted path has an effect on f_T and D_feat only."""
    section, _, rest = path.partition(".")
    if section == "loss_weights":
        return rest in terms_of("classifier")
    for field in fields_along(rest, _SECTIONS[section]):
        if any(isinstance(item, ClassifierSide) for item in field.metadata):
            return True
    return False


def shared_paths(space: Mapping[str, Distribution]) -> tuple[str, ...]:
    """Return the searched paths that trials which share a GAN have in common, in their order.

    Args:
        space: distributions by dotted path.
    """
    shared = {path for path in space if not is_classifier_side(path)}
    # The choice that a condition names has no condition itself.
    for path in [*shared]:
        shared.update(space[path].when)
    return tuple(path for path in space if path in shared)


def sampler_obstacle(sampler: AnySampler) -> Obstacle | None:
    """Return the obstacle that a sampler is, or None."""
    if isinstance(sampler, Tpe | Curves | Gp | Random):
        return None
    return Obstacle(
        f"sampler {sampler.name} cannot propose settings of f_T for a given GAN",
        "take sampler tpe, curves, gp or random",
    )


def obstacle_of_values(
    space: Mapping[str, Distribution], method: object, training: Mapping[str, object]
) -> Obstacle | None:
    """Return the obstacle in the values and distributions of a search, or None.

    Args:
        space: distributions by dotted path.
        method: method of the search.
        training: the section `training`, or the values that are given in it.
    """
    for name, independent in _READERS_OF_F_T.items():
        path = f"training.{name}"
        is_set = path in space or training.get(name, independent) != independent
        if method == "cycada" and is_set:
            return Obstacle(f"with {path}, the GAN depends on f_T", f"leave {path} out")
    if len(shared_paths(space)) == len(space):
        return Obstacle(
            "no searched value affects f_T or D_feat alone",
            "search one that does, such as training.classifier_lr",
        )
    return None
