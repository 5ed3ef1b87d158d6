from __future__ import annotations

from typing import Any

import pytest
import torch
from torchvision import models

from adaptune.spec.data import MAX_SIZE, MIN_SIZE, SIZE_STEP, DomainSpec
from adaptune.spec.model import ModelSpec
from adaptune.spec.sizes import size_fault
from adaptune.training.build import build_classifier, build_discriminator, build_generator

SIZES = range(MIN_SIZE, MAX_SIZE + 1, SIZE_STEP)


def model(**sections: Any) -> ModelSpec:
    return ModelSpec.model_validate(sections)


PHOTOGRAPHS = {
    "generator": {"name": "resnet"},
    "discriminator": {"layers": 3},
    "classifier": {"name": "resnet18"},
}


@pytest.mark.parametrize("size", [96, 160, 224, 320, 512])
def test_photographs_may_have_usual_sizes(size: int) -> None:
    assert size_fault(size, model(**PHOTOGRAPHS)) is None


@pytest.mark.parametrize(
    ("size", "sections", "message"),
    [
        (
            36,
            {"classifier": {"name": "dtn"}},
            "classifier dtn takes multiples of 8 from 32 to 64 px, not 36: take another one,"
            " or images of 32 or 40 px, which all networks take",
        ),
        (
            100,
            {"generator": {"factor": 8}, "classifier": {"name": "resnet18"}},
            "generator unshuffle with factor 8 takes multiples of 8 from 32 to 512 px, not 100:"
            " take a smaller factor, or images of 96 or 104 px, which all networks take",
        ),
        (
            24,
            PHOTOGRAPHS | {"classifier": {"name": "lenet"}},
            "a discriminator of 3 layers takes 32 to 512 px, not 24: take fewer layers,"
            " or images of 32 px, which all networks take",
        ),
        (
            64,
            {"discriminator": {"layers": 5}},
            "a discriminator of 5 layers takes 128 to 512 px, not 64: take fewer layers",
        ),
    ],
)
def test_the_message_names_the_next_sizes_that_all_networks_take(
    size: int, sections: dict[str, Any], message: str
) -> None:
    assert size_fault(size, model(**sections)) == message


@pytest.mark.parametrize("generator", [{"name": "resnet"}, {"factor": 2}, {"factor": 8}])
@pytest.mark.parametrize("classifier", ["lenet", "dtn", "resnet18"])
@pytest.mark.parametrize("layers", [1, 5])
def test_the_networks_take_the_sizes_that_are_allowed(
    generator: dict[str, Any], classifier: str, layers: int
) -> None:
    spec = model(
        generator={"width": 4, "blocks": 1} | generator,
        discriminator={"width": 4, "layers": layers},
        classifier={"name": classifier},
    )
    allowed = [size for size in SIZES if size_fault(size, spec) is None]
    if not allowed:
        assert (classifier, layers) in {("lenet", 5), ("dtn", 5)}  # 64 px at most, 128 px at least
        return
    for size in {*allowed[:2], allowed[len(allowed) // 2], allowed[-1]}:
        domain = DomainSpec(domain="a", size=size, channels=1)
        with torch.device("meta"):
            images = torch.zeros(2, 1, size, size)
            assert build_generator(spec, 1, 0.02)(images).shape == images.shape
            assert min(build_discriminator(spec, 1, 0.02)(images).shape[2:]) >= 2
            assert build_classifier(spec.classifier, domain, 3)(images).shape == (2, 3)


def backbone_sizes(name: str) -> list[int]:
    spec = model(classifier={"name": f"torchvision:{name}"}, generator={"name": "resnet"})
    return [size for size in SIZES if size_fault(size, spec) is None]


def test_torchvisions_networks_take_no_less_than_they_need() -> None:
    for name in models.list_models(module=models):
        weights = models.get_model_weights(name).DEFAULT
        if name.startswith(("vit", "swin", "maxvit")):  # theirs is the size of the training
            assert weights.meta["min_size"][0] in {224, 256, 518}
        elif not name.startswith("squeezenet"):
            assert min(backbone_sizes(name)) >= weights.meta["min_size"][0]


@pytest.mark.parametrize(
    ("name", "smallest"),
    [
        ("alexnet", 64),
        ("efficientnet_v2_s", 36),
        ("inception_v3", 76),
        ("maxvit_t", 224),
        ("regnet_y_400mf", 32),
        ("resnet50", 32),
        ("swin_t", 32),
        ("vit_b_16", 32),
        ("vit_h_14", 56),
    ],
)
def test_a_backbone_takes_the_smallest_and_other_sizes(name: str, smallest: int) -> None:
    sizes = backbone_sizes(name)
    assert sizes[0] == smallest
    spec = model(classifier={"name": f"torchvision:{name}"})
    for size in (sizes[0], sizes[1]):
        domain = DomainSpec(domain="a", size=size, channels=1)
        with torch.device("meta"):
            net = build_classifier(spec.classifier, domain, 3).eval()
            assert net(torch.zeros(1, 1, size, size)).shape == (1, 3)
