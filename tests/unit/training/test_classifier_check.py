from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.fake_search import make_search
from torchvision import models

from adaptune.errors import SpecError
from adaptune.spec import SearchSpec
from adaptune.spec.model import ClassifierSpec
from adaptune.training.classifier_check import with_checked_classifier
from adaptune.training.pretrained import forget_pretrained


def search(name: str, **options: Any) -> SearchSpec:
    return make_search(model={"classifier": {"name": name, **options}})


def classifier(spec: SearchSpec) -> ClassifierSpec:
    return spec.trial({}).model.classifier


@pytest.fixture
def file(tmp_path: Path) -> Path:
    forget_pretrained()
    path = tmp_path / "resnet18.safetensors"
    save_file(models.resnet18().state_dict(), path)
    return path


def test_the_path_and_the_hash_of_the_weights_are_recorded(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    spec = search("torchvision:resnet18", weights=file.name, bottleneck=8)
    checked = classifier(with_checked_classifier(spec))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert checked == classifier(spec).model_copy(
        update={"weights": str(file), "weights_sha256": digest}
    )
    with pytest.raises(SpecError, match="not 00000"):
        with_checked_classifier(
            search("torchvision:resnet18", weights=str(file), weights_sha256="0" * 64)
        )


def test_weights_of_another_network_are_refused(file: Path) -> None:
    spec = search("torchvision:resnet34", weights=str(file))
    message = r"resnet18\.safetensors do not fit torchvision:resnet34: layer1\.2\.conv1\.weight is"
    with pytest.raises(SpecError, match=message):
        with_checked_classifier(spec)


@pytest.mark.parametrize("name", ["lenet", "torchvision:mobilenet_v3_small"])
def test_a_spec_without_weights_stays_as_it_is(name: str) -> None:
    assert with_checked_classifier(search(name)) == search(name)


def test_timm_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        SpecError, match=r"needs timm, on every node: pip install 'adaptune\[timm\]'"
    ):
        with_checked_classifier(search("timm:resnet18"))


def test_a_network_that_does_not_take_the_images_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_small(self: object, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("Output size is too small\nmore")

    monkeypatch.setattr(models.ResNet, "forward", too_small)
    message = "torchvision:resnet18 does not take images of 32 px: Output size is too small; take"
    with pytest.raises(SpecError, match=message):
        with_checked_classifier(search("torchvision:resnet18"))
