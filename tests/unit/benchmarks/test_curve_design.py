from __future__ import annotations

import numpy as np
from curve_design import Design, sobol_points
from landscapes import SPACE

from adaptune.curves.space import UnitSpace
from adaptune.spec.distributions import Choice, LogUniform

GENERATORS = ["loss_weights.cycle", "loss_weights.identity", "loss_weights.semantic"]


def test_trials_of_a_group_share_the_generators_side_and_differ_in_the_other() -> None:
    trials = Design(SPACE, 8).group(3)
    for path in GENERATORS:
        assert len({trial[path] for trial in trials}) == 1
    assert len({trial["loss_weights.information"] for trial in trials}) == 8
    for trial in trials:
        assert all(SPACE[path].contains(value) for path, value in trial.items())


def test_each_group_and_all_groups_have_a_value_in_each_part_of_a_range() -> None:
    design = Design(SPACE, 4)
    groups = [design.group(number) for number in range(8)]
    quarters = [int(trial["loss_weights.information"] * 4) for trial in groups[5]]  # type: ignore[operator,arg-type]
    assert sorted(quarters) == [0, 1, 2, 3]
    space = UnitSpace(SPACE)
    positions = np.array([space.positions(trials[0]) for trials in groups])
    for column, path in enumerate(SPACE):
        if path in GENERATORS:
            assert sorted((positions[:, column] * 8).astype(int)) == list(range(8))


def test_a_group_does_not_depend_on_how_many_there_are() -> None:
    assert np.array_equal(sobol_points(3, 1, 5), sobol_points(3, 1, 100)[:5])
    assert Design(SPACE, 4).group(2) == Design(SPACE, 4).group(2)


def test_values_of_unmet_conditions_are_left_out() -> None:
    space = {
        "training.gan_loss": Choice(search="choice", values=("lsgan", "hinge")),
        "loss_weights.cycle": LogUniform(
            search="loguniform",
            low=0.1,
            high=10,
            when={"training.gan_loss": ("hinge",)},
            otherwise=1.0,
        ),
    }
    design = Design(space, 1)
    trials = [design.group(number)[0] for number in range(8)]
    for trial in trials:
        assert ("loss_weights.cycle" in trial) == (trial["training.gan_loss"] == "hinge")
    assert {trial["training.gan_loss"] for trial in trials} == {"lsgan", "hinge"}
