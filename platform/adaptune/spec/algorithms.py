"""The samplers and schedulers of a search space file, each with its options."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from adaptune.spec.base import Count, Section

_NAME_OF_SAMPLER = "Name of the sampler."
_NAME_OF_SCHEDULER = "Name of the scheduler."
_GRACE_EPOCHS = "Epochs that every trial trains before it may be stopped."


class Tpe(Section):
    """Multivariate tree-structured Parzen estimators (Bergstra et al. 2011).

    It also learns from stopped trials, and from failed ones as the worst.
    """

    name: Literal["tpe"] = Field(default="tpe", description=_NAME_OF_SAMPLER)
    candidates: Count = Field(
        default=24, description="Candidates per proposal, of which the best one is proposed."
    )


class Gp(Section):
    """A Gaussian process. It learns from complete trials only: best with `scheduler: none`."""

    name: Literal["gp"] = Field(description=_NAME_OF_SAMPLER)


class Curves(Section):
    """A Gaussian process over settings and epochs, by expected improvement at the last epoch.

    It learns from stopped and running trials at their epochs, and from failed ones as the worst.
    Until it can predict the trials that have ended, tpe proposes. Best with `scheduler: curves`.
    """

    name: Literal["curves"] = Field(description=_NAME_OF_SAMPLER)


class CmaEs(Section):
    """CMA-ES (Hansen & Ostermeier 2001), for numbers. It also learns from stopped trials."""

    name: Literal["cmaes"] = Field(description=_NAME_OF_SAMPLER)
    sigma0: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Initial standard deviation; `null` lets Optuna choose.",
    )
    population: Annotated[int, Field(ge=3)] | None = Field(
        default=None, description="Trials per generation; `null` lets Optuna choose."
    )


class Random(Section):
    """Independent random values."""

    name: Literal["random"] = Field(description=_NAME_OF_SAMPLER)


class Grid(Section):
    """All combinations, in a random order. The search ends with the grid."""

    name: Literal["grid"] = Field(description=_NAME_OF_SAMPLER)
    points: Annotated[int, Field(ge=2)] = Field(
        default=3, description="Values per range, both bounds among them."
    )


class Qmc(Section):
    """A quasi-random sequence, which covers the space more evenly than random values."""

    name: Literal["qmc"] = Field(description=_NAME_OF_SAMPLER)
    sequence: Literal["sobol", "halton"] = Field(
        default="sobol", description="Low-discrepancy sequence."
    )
    scramble: bool = Field(default=True, description="Randomise the sequence with the seed.")


class Nsga2(Section):
    """NSGA-II (Deb et al. 2002) with two objectives: the metric, and a trial's device seconds.

    It learns from complete trials only: best with `scheduler: none`.
    """

    name: Literal["nsga2"] = Field(description=_NAME_OF_SAMPLER)
    population: Annotated[int, Field(ge=2)] = Field(default=8, description="Trials per generation.")


class Asha(Section):
    """ASHA (Li et al. 2020): at each rung, stop all trials but the best 1/reduction_factor."""

    name: Literal["asha"] = Field(default="asha", description=_NAME_OF_SCHEDULER)
    grace_epochs: Count = Field(default=1, description=_GRACE_EPOCHS)
    reduction_factor: Annotated[float, Field(gt=1)] = Field(
        default=3, description="Ratio of the epochs of neighbouring rungs."
    )


class Hyperband(Section):
    """Asynchronous Hyperband: ASHA in several brackets, each with a later first rung."""

    name: Literal["hyperband"] = Field(description=_NAME_OF_SCHEDULER)
    grace_epochs: Count = Field(default=1, description=_GRACE_EPOCHS)
    reduction_factor: Annotated[float, Field(gt=1)] = Field(
        default=3, description="Ratio of the epochs of neighbouring rungs."
    )
    brackets: Count = Field(
        default=2, description="Brackets, to which trials are assigned in turn."
    )


class CurveStopping(Section):
    """The model of the sampler `curves`: stop trials that will hardly become the best.

    A trial also stops if a new one is expected to gain more in as many epochs. The first two trials
    train all epochs regardless, and so do the 8th, the 16th, the 32nd and so on. As long as there
    is no model to trust, the others are stopped as by `asha`.
    """

    name: Literal["curves"] = Field(description=_NAME_OF_SCHEDULER)
    grace_epochs: Count = Field(default=1, description=_GRACE_EPOCHS)
    reduction_factor: Annotated[float, Field(gt=1)] = Field(
        default=3, description="Ratio of the epochs of neighbouring rungs, until there is a model."
    )


class Median(Section):
    """The median rule (Golovin et al. 2017).

    It stops a trial whose best value is below the median of the other trials' running means.
    """

    name: Literal["median"] = Field(description=_NAME_OF_SCHEDULER)
    grace_epochs: Count = Field(default=1, description=_GRACE_EPOCHS)
    min_trials: Count = Field(
        default=3, description="Trials to compare with, before any trial is stopped."
    )


class NoScheduler(Section):
    """A scheduler that stops no trial early."""

    name: Literal["none"] = Field(description=_NAME_OF_SCHEDULER)


AnySampler = Tpe | Curves | Gp | CmaEs | Random | Grid | Qmc | Nsga2
AnyScheduler = Asha | CurveStopping | Hyperband | Median | NoScheduler


def _names_of(algorithms: object) -> list[str]:
    """Return the names of a union of algorithms."""
    names: list[str] = []
    for algorithm in get_args(algorithms):
        names += get_args(algorithm.model_fields["name"].annotation)
    return names


SamplerName = Annotated[str, Field(json_schema_extra={"enum": [*_names_of(AnySampler)]})]
SchedulerName = Annotated[str, Field(json_schema_extra={"enum": [*_names_of(AnyScheduler)]})]


def _sampler_options(value: object) -> object:
    """Return the options that a name stands for; options without a name are tpe's."""
    return _options(value, default="tpe")


def _scheduler_options(value: object) -> object:
    """Return the options that a name stands for; options without a name are asha's."""
    return _options(value, default="asha")


def _options(value: object, default: str) -> object:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict):
        return {"name": default} | value
    return value


Sampler = Annotated[
    AnySampler,
    Field(discriminator="name"),
    BeforeValidator(_sampler_options, json_schema_input_type=SamplerName | AnySampler),
]
Scheduler = Annotated[
    AnyScheduler,
    Field(discriminator="name"),
    BeforeValidator(_scheduler_options, json_schema_input_type=SchedulerName | AnyScheduler),
]
