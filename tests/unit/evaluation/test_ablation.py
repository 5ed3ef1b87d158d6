from __future__ import annotations

import pytest
from support.fake_search import make_search

from adaptune.evaluation.ablation import FEATURE_ONLY, FULL, ablations, inactive_ablations


def names(**weights: float) -> list[str]:
    spec = make_search(loss_weights=weights, space={})
    return [configuration.name for configuration in ablations(spec, {})]


def test_an_ablation_that_takes_nothing_away_is_left_out() -> None:
    spec = make_search()
    configurations = {
        configuration.name: configuration.values
        for configuration in ablations(spec, {"loss_weights.cycle": 3.0})
    }
    assert list(configurations) == [
        FULL,
        "pixel only",
        FEATURE_ONLY,
        "no cycle",
        "no semantic",
        "no feature",
    ]
    assert configurations["no cycle"]["loss_weights.cycle"] == 0
    assert configurations["pixel only"]["loss_weights.feature"] == 0
    assert configurations["pixel only"]["loss_weights.cycle"] == 3.0
    assert configurations[FEATURE_ONLY]["loss_weights.adversarial"] == 0


def test_an_ablation_that_equals_another_one_is_left_out() -> None:
    # Without semantic and information terms, "pixel only" is "no feature".
    assert names(semantic=0, cycle=1) == [FULL, "pixel only", FEATURE_ONLY, "no cycle"]


def test_the_feature_term_alone_needs_a_feature_term() -> None:
    assert FEATURE_ONLY not in names(feature=0)


def test_terms_of_cycada_are_no_part_of_cyclegan() -> None:
    spec = make_search(method="cyclegan", loss_weights={"identity": 1.0}, space={})
    configurations = ablations(spec, {})
    assert [configuration.name for configuration in configurations] == [
        FULL,
        "no cycle",
        "no identity",
    ]
    assert "loss_weights.semantic" not in configurations[0].values
    inactive = inactive_ablations(configurations[0])
    assert inactive == [
        "pixel only",
        "no gradient_penalty",
        "no semantic",
        "no feature",
        "no information",
        "no confusion",
        "no consistency",
    ]


@pytest.mark.parametrize(
    ("weights", "inactive"),
    [
        (
            {"identity": 1.0, "gradient_penalty": 0.1, "information": 0.3, "confusion": 1.0},
            [],
        ),
        ({}, ["no identity", "no gradient_penalty", "no information", "no confusion"]),
        (
            {"semantic": 0.0, "feature": 0.0, "gradient_penalty": 0.1},
            [
                "pixel only",
                "no identity",
                "no semantic",
                "no feature",
                "no information",
                "no confusion",
            ],
        ),
    ],
)
def test_ablations_of_terms_that_are_off_are_inactive(
    weights: dict[str, float], inactive: list[str]
) -> None:
    full = ablations(make_search(loss_weights=weights, space={}), {})[0]
    assert inactive_ablations(full) == [*inactive, "no consistency"]
