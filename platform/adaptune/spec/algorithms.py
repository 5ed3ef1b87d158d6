"""The samplers and schedulers that a spec may name, each with its options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from adaptune.spec.base import Count, Section


class Tpe(Section):
    """Tree-structured Parzen estimators (Bergstra et al. 2011), multivariate; stopped trials count."""

    name: Literal["tpe"] = "tpe"
    candidates: Count = Field(
        default=24, description="drawn for each proposal, of which the best is taken"
    )


class Gp(Section):
    """A Gaussian process. It learns from complete trials only: best with `scheduler: none`."""

    name: Literal["gp"]


class CmaEs(Section):
    """CMA-ES (Hansen & Ostermeier 2001), for numbers; stopped trials count."""

    name: Literal["cmaes"]
    sigma0: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="of a range; None: Optuna's choice"
    )
    population: Annotated[int, Field(ge=3)] | None = None


class Random(Section):
    name: Literal["random"]


class Grid(Section):
    """All combinations, in a seeded order."""

    name: Literal["grid"]
    points: Annotated[int, Field(ge=2)] = Field(
        default=3, description="values of a range, its ends among them"
    )


class Qmc(Section):
    """A quasi-random sequence: more even than random."""

    name: Literal["qmc"]
    sequence: Literal["sobol", "halton"] = "sobol"
    scramble: bool = True


class Nsga2(Section):
    """NSGA-II (Deb et al. 2002) over two objectives: the metric, and the device seconds of a trial."""

    name: Literal["nsga2"]
    population: Annotated[int, Field(ge=2)] = 8


class Asha(Section):
    """ASHA (Li et al. 2020): a trial stops at a rung unless it is in the best 1/reduction_factor there."""

    name: Literal["asha"] = "asha"
    grace_epochs: Count = 1
    reduction_factor: Annotated[float, Field(gt=1)] = 3


class Hyperband(Section):
    """Asynchronous Hyperband: ASHA in `brackets`, each with a later first rung; trials take turns."""

    name: Literal["hyperband"]
    grace_epochs: Count = 1
    reduction_factor: Annotated[float, Field(gt=1)] = 3
    brackets: Count = 2


class Median(Section):
    """Stop a trial whose best is below the median of the others' means so far (Golovin et al. 2017)."""

    name: Literal["median"]
    grace_epochs: Count = 1
    min_trials: Count = 3


class NoScheduler(Section):
    """Every trial runs to its end."""

    name: Literal["none"]


def _named(default: str) -> BeforeValidator:
    """A name alone will do, and so will options of the default alone."""

    def name(value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        return {"name": default} | value if isinstance(value, dict) else value

    return BeforeValidator(name)


Sampler = Annotated[
    Tpe | Gp | CmaEs | Random | Grid | Qmc | Nsga2, Field(discriminator="name"), _named("tpe")
]
Scheduler = Annotated[
    Asha | Hyperband | Median | NoScheduler, Field(discriminator="name"), _named("asha")
]
