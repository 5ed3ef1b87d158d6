"""The section `training.target_to_source`: weights of the direction that only G_ts translates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adaptune.spec.base import OnlyIn, Section

Factor = Annotated[float, Field(ge=0)]


class DirectionFactors(Section):
    """Factors of the target-to-source part of the generators' terms, relative to the other part.

    The term is the part from source to target plus the factor times the part from target to source.
    """

    adversarial: Annotated[float, Field(gt=0)] = Field(
        default=1.0,
        description="Factor of the GAN loss of G_ts against D_s. 0.5 is the ratio of CyCADA's"
        " released code, which counts the direction from source to target twice.",
    )
    cycle: Factor = Field(
        default=1.0,
        description="Factor of the distance between a target image and its translation to the"
        " source and back; 0 leaves it out with its forward pass.",
    )
    semantic: Annotated[Factor, OnlyIn("cycada")] = Field(
        default=1.0,
        description="Factor of the cross-entropy of f_S on translated target images; 0 leaves it"
        " out with its forward pass. CyCADA only.",
    )
