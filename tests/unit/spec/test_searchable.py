from __future__ import annotations

import pytest
from pydantic import ValidationError

from adaptune.spec.distributions import Int, Uniform
from adaptune.spec.loss_terms import LossWeights
from adaptune.spec.model import ModelSpec
from adaptune.spec.searchable import Searchable, searchable_paths
from adaptune.spec.training import TrainingSpec

UNIFORM = {"search": "uniform", "low": 0, "high": 1}
INT = {"search": "int", "low": 1, "high": 4}


@pytest.mark.parametrize("section", [ModelSpec, TrainingSpec, LossWeights])
def test_the_defaults_are_those_of_the_section(section: type) -> None:
    derived = Searchable[section]
    assert derived().model_dump() == section().model_dump()
    assert list(derived.model_fields) == list(section.model_fields)
    assert derived.__doc__ == section.__doc__


def test_the_same_section_gives_the_same_class() -> None:
    assert Searchable[ModelSpec] is Searchable[ModelSpec]


def test_distributions_are_listed_by_their_dotted_path() -> None:
    tree = {"generator": {"blocks": INT, "width": 8}, "feature_discriminator": {"width": INT}}
    model = Searchable[ModelSpec].model_validate(tree)
    assert model.distributions() == {
        "generator.blocks": Int(**INT),
        "feature_discriminator.width": Int(**INT),
    }
    assert model.model_dump()["generator"]["width"] == 8


def test_a_distribution_may_be_given_as_an_object() -> None:
    distribution = Uniform(**UNIFORM)
    weights = Searchable[LossWeights].model_validate({"cycle": distribution})
    assert weights.distributions() == {"cycle": distribution}


@pytest.mark.parametrize(
    ("section", "tree", "location"),
    [
        (LossWeights, {"cycle": -1}, ("cycle", "value")),
        (LossWeights, {"cycle": {"search": "normal"}}, ("cycle", "distribution")),
        (LossWeights, {"cylce": 1}, ("cylce",)),
        (ModelSpec, {"generator": {"width": 0}}, ("generator", "width", "value")),
        (ModelSpec, {"generator": UNIFORM}, ("generator", "search")),
        (ModelSpec, {"classifier": {"dropout": UNIFORM}}, ("classifier", "dropout")),
        (TrainingSpec, {"epochs": INT}, ("epochs",)),
    ],
)
def test_what_is_neither_an_allowed_value_nor_a_distribution_is_refused(
    section: type, tree: dict[str, object], location: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as caught:
        Searchable[section].model_validate(tree)
    assert location in {error["loc"] for error in caught.value.errors()}


def test_the_searchable_paths_leave_out_fixed_fields_and_sections() -> None:
    assert list(searchable_paths(ModelSpec)) == [
        *(f"generator.{name}" for name in ("name", "width", "blocks", "upsample", "factor")),
        *(f"discriminator.{name}" for name in ("name", "width", "layers")),
        "feature_discriminator.width",
    ]


def test_values_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Searchable[LossWeights]().cycle = 3
