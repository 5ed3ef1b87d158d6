from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from adaptune.spec.algorithms import (
    Asha,
    CmaEs,
    Curves,
    CurveStopping,
    Gp,
    Grid,
    Hyperband,
    Median,
    NoScheduler,
    Nsga2,
    Qmc,
    Random,
    Sampler,
    Scheduler,
    Tpe,
)

SAMPLERS = TypeAdapter(Sampler)
SCHEDULERS = TypeAdapter(Scheduler)


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("tpe", Tpe),
        ("curves", Curves),
        ("gp", Gp),
        ("cmaes", CmaEs),
        ("random", Random),
        ("grid", Grid),
        ("qmc", Qmc),
        ("nsga2", Nsga2),
    ],
)
def test_the_name_of_a_sampler_stands_for_its_defaults(name: str, sampler: type) -> None:
    assert SAMPLERS.validate_python(name) == sampler(name=name)
    assert SAMPLERS.validate_python({"name": name}) == sampler(name=name)


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [
        ("asha", Asha),
        ("curves", CurveStopping),
        ("hyperband", Hyperband),
        ("median", Median),
        ("none", NoScheduler),
    ],
)
def test_the_name_of_a_scheduler_stands_for_its_defaults(name: str, scheduler: type) -> None:
    assert SCHEDULERS.validate_python(name) == scheduler(name=name)
    assert SCHEDULERS.validate_python({"name": name}) == scheduler(name=name)


def test_options_without_a_name_are_those_of_the_default() -> None:
    assert SAMPLERS.validate_python({"candidates": 5}) == Tpe(candidates=5)
    assert SCHEDULERS.validate_python({"reduction_factor": 4}) == Asha(reduction_factor=4)


@pytest.mark.parametrize(
    ("adapter", "raw"),
    [
        (SAMPLERS, "bayes"),
        (SAMPLERS, {"points": 3}),  # of grid, which is not the default
        (SAMPLERS, {"name": "grid", "points": 1}),
        (SAMPLERS, {"name": "gp", "candidates": 5}),
        (SAMPLERS, 3),
        (SCHEDULERS, {"name": "asha", "reduction_factor": 1}),
        (SCHEDULERS, {"name": "asha", "brackets": 2}),
        (SCHEDULERS, None),
    ],
)
def test_other_names_and_the_options_of_others_are_refused(
    adapter: TypeAdapter[object], raw: object
) -> None:
    with pytest.raises(ValidationError):
        adapter.validate_python(raw)
