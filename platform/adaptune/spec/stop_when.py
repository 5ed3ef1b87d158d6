"""The rule that ends a search before all of its trials have started."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adaptune.spec.base import Count, Section


class StopWhen(Section):
    """The condition of an early end: further settings will hardly gain anything.

    The model of the sampler `curves` decides, after each trial. It is fitted from the trials that
    have ended, so that any sampler and any scheduler will do. At least ten per searched value must
    have ended.
    """

    gain_below: Annotated[float, Field(gt=0, lt=100)] = Field(
        description="Gain over the best setting so far, in points of the metric: 0.3 is 0.3%."
    )
    confidence: Annotated[float, Field(gt=0, le=0.99)] = Field(
        default=0.95,
        description="Probability with which no setting gains more than `gain_below`, among some"
        " hundred settings that the model compares. 400 draws of the model tell no more than 0.99.",
    )
    complete_trials: Count = Field(
        default=4, description="Trials that must have trained all epochs before the end."
    )
