"""The section `training.consistency`: teacher and strong view of the consistency term."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adaptune.spec.augment import AugmentSpec, Erasure, Policy, Rotation, Scale, Shift
from adaptune.spec.base import Count, Fixed, Section


class StrongAugmentSpec(AugmentSpec):
    """Random changes of the target images that f_T classifies in the consistency term.

    The options are those of `training.augment`, with other defaults.
    """

    shift: Shift = 0.1
    rotate: Rotation = 15.0
    scale: Scale = 0.2
    erase: Erasure = 0.5
    policy: Policy = "rand"


class ConsistencySpec(Section):
    """The consistency term: its teacher, and the strong view of target images that f_T learns from.

    The teacher is the moving average of f_T. It classifies target images with the changes of
    `training.augment`.
    """

    threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.9,
        description="f_T learns the teacher's class of an image if the teacher's probability of"
        " that class is at least this.",
    )
    mask: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Share of the patches of an image that become grey after the changes of"
        " `augment` (MIC, Hoyer et al. 2023, masks 0.7); 0 masks none.",
    )
    mask_grid: Count = Field(
        default=4, description="Patches of the mask along each edge of an image."
    )
    augment: Annotated[
        StrongAugmentSpec, Fixed("the changes that keep an image's class depend on the data alone")
    ] = StrongAugmentSpec()
