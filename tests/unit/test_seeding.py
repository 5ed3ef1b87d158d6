from __future__ import annotations

import pytest

from adaptune.seeding import derive_seed


def test_derived_seeds_are_stable_distinct_and_63_bits() -> None:
    assert derive_seed(0, "source", 1) == 990293868648324161
    parts = [(1, 2), (12,), ("1", 2), (1, "2"), ("12",), ("1", "2"), ("a\x1fs1:b",), ("a", "b")]
    seeds = {derive_seed(*part) for part in parts}
    assert len(seeds) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("part", [True, 7, -7, 2**70, "", "ä", "1"])
def test_a_part_of_any_value_gives_the_same_seed_again(part: int | str) -> None:
    assert derive_seed(part) == derive_seed(part) != derive_seed(part, part)


def test_a_boolean_is_the_integer_that_it_equals() -> None:
    assert derive_seed(True) == derive_seed(1)
