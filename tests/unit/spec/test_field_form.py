from __future__ import annotations

import pytest

from adaptune.spec.distributions import Choice, Uniform
from adaptune.spec.field_form import in_field_form, normalise


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("training.semantic_labels", True, "true"),
        ("training.semantic_labels", "true", "true"),
        ("training.semantic_gate", 1, 1.0),
        ("training.semantic_gate", None, None),
        ("loss_weights.cycle", 3, 3.0),
        ("training.pool_size", 3, 3),
        ("training.compile", True, True),
        ("model.generator.factor", 4, 4),
    ],
)
def test_a_value_gets_the_form_of_its_field(path: str, value: object, expected: object) -> None:
    result = in_field_form(path, value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("loss_weights.cycle", "much"),
        ("loss_weights.cycle", True),
        ("training.pool_size", 1.5),
        ("training.compile", "yes"),
        ("loss_weights.cylce", 1),
        ("loss_weights.cycle.low", 1),
        ("seed.a", 1),
    ],
)
def test_a_value_that_no_field_allows_is_unchanged(path: str, value: object) -> None:
    result = in_field_form(path, value)
    assert result == value
    assert type(result) is type(value)


def test_choices_conditions_and_their_alternatives_are_normalised() -> None:
    labels = Choice(search="choice", values=("predicted", True))
    identity = Uniform(
        search="uniform",
        low=1,
        high=5,
        when={"training.semantic_labels": (True,)},
        otherwise=0,
    )
    space = normalise({"training.semantic_labels": labels, "loss_weights.identity": identity})
    assert space["training.semantic_labels"].bounds() == ("predicted", "true")
    assert space["loss_weights.identity"].when == {"training.semantic_labels": ("true",)}
    assert type(space["loss_weights.identity"].otherwise) is float
    assert space["loss_weights.identity"].bounds() == (1.0, 5.0)
