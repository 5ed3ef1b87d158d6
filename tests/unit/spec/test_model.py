from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from adaptune.spec.model import ClassifierSpec, ModelSpec
from adaptune.spec.sizes import CLASSIFIER_SIZES


def test_every_small_classifier_has_its_image_sizes_in_its_description() -> None:
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
        {"classifier": {"name": "lenet5"}},
        {"classifier": {"name": "timm:"}},
        {"classifier": {"name": "torchvision:resnet18", "bottleneck": 0}},
        {"feature_discriminator": {"width": 0}},
    ],
)
def test_networks_that_cannot_be_built_are_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ModelSpec.model_validate(tree)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"name": "resnet50"},
            "the network must be lenet, dtn, resnet18, torchvision:NAME or timm:NAME, not resnet50",
        ),
        (
            {"name": "torchvision:resnet5"},
            "torchvision has no classification model resnet5; did you mean resnet",
        ),
        ({"name": "torchvision:squeezenet1_0"}, "does not end in a linear layer"),
        ({"weights": "a.pth"}, "lenet takes neither weights nor a bottleneck"),
        ({"bottleneck": 8}, "lenet takes neither weights nor a bottleneck"),
        (
            {"name": "timm:a", "weights": "default"},
            "weights must be none, DEFAULT, or a file that ends in .safetensors, .pth, .pt",
        ),
        (
            {"name": "timm:a", "weights": "DEFAULT", "weights_sha256": "0" * 64},
            "weights_sha256 needs a file",
        ),
        ({"name": "timm:a", "weights": "a.pt", "weights_sha256": "0"}, "should match pattern"),
    ],
)
def test_the_fault_of_a_classifier_is_named(tree: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        ClassifierSpec.model_validate(tree)


def test_a_backbone_has_a_library_a_name_and_weights() -> None:
    spec = ClassifierSpec.model_validate({"name": "torchvision:resnet50", "weights": "a.pth"})
    assert (spec.library, spec.backbone) == ("torchvision", "resnet50")
    assert (spec.is_pretrained, spec.weights_file) == (True, "a.pth")
    default = spec.model_copy(update={"weights": "DEFAULT"})
    assert (default.is_pretrained, default.weights_file) == (True, None)
    small = ClassifierSpec()
    assert (small.library, small.is_pretrained, small.weights_file) == (None, False, None)


def test_a_relative_path_of_weights_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {"a.pth": str(tmp_path / "a.pth"), "~/a.pth": "~/a.pth", "DEFAULT": "DEFAULT"}
    for given, expected in paths.items():
        spec = ClassifierSpec.model_validate({"name": "timm:a", "weights": given})
        assert spec.resolved().weights == expected
