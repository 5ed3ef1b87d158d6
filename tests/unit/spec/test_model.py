from __future__ import annotations

import pytest
from pydantic import ValidationError

from adaptune.spec.model import ClassifierSpec, ModelSpec
from adaptune.spec.sizes import CLASSIFIER_SIZES


def test_every_classifier_has_its_image_sizes_in_its_description() -> None:
    description = ClassifierSpec.model_fields["name"].description or ""
    for name, (smallest, largest) in CLASSIFIER_SIZES.items():
        assert ClassifierSpec.model_validate({"name": name}).name == name
        assert f"`{name}`: " in description
        assert f"{smallest} to {largest} px" in description


@pytest.mark.parametrize(
    "tree",
    [
        {"generator": {"factor": 3}},
        {"generator": {"name": "unet"}},
        {"generator": {"blocks": -1}},
        {"discriminator": {"layers": 6}},
        {"classifier": {"width": 21}},
        {"classifier": {"dropout": 1}},
        {"feature_discriminator": {"width": 0}},
    ],
)
def test_networks_that_cannot_be_built_are_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ModelSpec.model_validate(tree)
