from __future__ import annotations

import re

import pytest

from adaptune.spec.loss_terms import ABLATIONS, LOSS_TERMS, LossWeights, terms_of

ADDED = ("information", "confusion", "consistency")  # to CyCADA


def test_the_table_has_a_row_per_weight_with_its_default_and_description() -> None:
    weights = LossWeights().model_dump()
    assert {name: term.default_weight for name, term in LOSS_TERMS.items()} == weights
    assert weights == {
        "task": 1,
        "task_target": 0,
        "adversarial": 1,
        "cycle": 10,
        "identity": 0,
        "semantic": 1,
        "feature": 0.1,
        "information": 0,
        "confusion": 0,
        "consistency": 0,
    }
    for name, term in LOSS_TERMS.items():
        assert term.name == name
        assert term.description.endswith(".")


def test_every_term_trains_either_the_generators_or_the_classifier() -> None:
    assert terms_of("generators") == ("adversarial", "cycle", "identity", "semantic")
    assert terms_of("classifier") == (
        "task",
        "task_target",
        "feature",
        "information",
        "confusion",
        "consistency",
    )


def test_cyclegan_lacks_the_terms_that_cycada_adds() -> None:
    cycada_only = [name for name, term in LOSS_TERMS.items() if term.methods == ("cycada",)]
    assert cycada_only == ["semantic", "feature", "information", "confusion", "consistency"]
    others = [term.methods for term in LOSS_TERMS.values() if term.name not in cycada_only]
    assert others == [("cycada", "cyclegan")] * 5


def test_the_ablations_are_cycadas_own_and_one_per_term_that_can_be_left_out() -> None:
    rows = {
        "pixel only": ("semantic", "feature", *ADDED),
        "feature only": ("adversarial", "cycle", "identity", "semantic", *ADDED),
        "no cycle": ("cycle",),
        "no identity": ("identity",),
        "no semantic": ("semantic",),
        "no feature": ("feature",),
        "no information": ("information",),
        "no confusion": ("confusion",),
        "no consistency": ("consistency",),
    }
    assert rows == ABLATIONS


@pytest.mark.parametrize("name", LOSS_TERMS)
def test_a_weight_is_not_negative(name: str) -> None:
    assert getattr(LossWeights.model_validate({name: 0}), name) == 0
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        LossWeights.model_validate({name: -0.1})


def test_a_term_of_one_method_names_it_in_its_description() -> None:
    for term in LOSS_TERMS.values():
        is_restricted = len(term.methods) == 1
        assert bool(re.search(r"CyCADA only\.$", term.description)) == is_restricted
