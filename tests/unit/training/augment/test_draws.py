from __future__ import annotations

import torch
from support.augmentations import seeded

from adaptune.spec.augment import AugmentSpec
from adaptune.training.augment.draws import between, draw, policy_names


def test_the_oldest_options_draw_four_numbers_per_image_and_no_more() -> None:
    spec = AugmentSpec(shift=0.1)
    draws = draw(spec, 5, seeded())
    [block] = draws.values()
    assert torch.equal(block, torch.rand(4, 5, generator=seeded()))


def test_a_further_option_draws_after_them() -> None:
    few = draw(AugmentSpec(shift=0.1), 5, seeded())
    many = draw(AugmentSpec(shift=0.1, flip=0.5), 5, seeded())
    all_of_them = draw(AugmentSpec(flip=0.5, erase=1, policy="rand"), 5, seeded())
    for smaller, larger in ((few, many), (many, all_of_them)):
        assert smaller.keys() < larger.keys()
        for name, values in smaller.items():
            assert torch.equal(values, larger[name])


def test_each_use_has_a_row_of_its_own() -> None:
    draws = draw(AugmentSpec(flip=0.5, policy="rand", policy_ops=2), 5, seeded())
    del draws["shift, rotate, scale"]
    assert {tuple(values.shape) for values in draws.values()} == {(5,)}
    assert len({tuple(values.tolist()) for values in draws.values()}) == len(draws)
    assert {*policy_names(0), *policy_names(1)} < draws.keys()


def test_a_range_is_stretched_from_its_ends() -> None:
    assert between(2, 6, torch.tensor([0.0, 0.25, 1.0])).tolist() == [2, 3, 6]
