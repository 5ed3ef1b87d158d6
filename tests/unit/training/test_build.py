from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_trial import CLASSES, CPU, make_spec
from torch import nn

from adaptune.models.backbones import Backbone
from adaptune.models.classifiers import DTN, LeNet, ResNet18
from adaptune.models.generators import ResnetGenerator, UnshuffleGenerator
from adaptune.models.norm import InstanceNorm
from adaptune.spec.model import ModelSpec
from adaptune.spec.training import TrainingSpec
from adaptune.training.build import (
    build_classifier,
    build_discriminator,
    build_feature_discriminator,
    build_generator,
    to_device,
    uses_bf16,
)

IMAGES = torch.zeros(2, 1, 32, 32)


def model(**sections: Any) -> ModelSpec:
    return ModelSpec.model_validate(sections)


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("name", "kind"), [("resnet", ResnetGenerator), ("unshuffle", UnshuffleGenerator)]
)
def test_the_generator_of_the_spec_translates_images(name: str, kind: type[nn.Module]) -> None:
    small = build_generator(model(generator={"name": name, "width": 4, "blocks": 1}), 1, 0.02)
    wide = build_generator(model(generator={"name": name, "width": 8, "blocks": 1}), 1, 0.02)
    deep = build_generator(model(generator={"name": name, "width": 4, "blocks": 2}), 1, 0.02)
    assert isinstance(small, kind)
    assert small(IMAGES).shape == IMAGES.shape
    assert parameters(small) < min(parameters(wide), parameters(deep))


def test_the_resnet_generator_upsamples_as_the_spec_says() -> None:
    kinds = {}
    for upsample in ("resize_conv", "transposed_conv"):
        settings = {"name": "resnet", "width": 4, "blocks": 1, "upsample": upsample}
        net = build_generator(model(generator=settings), 1, 0.02)
        kinds[upsample] = any(isinstance(part, nn.ConvTranspose2d) for part in net.modules())
    assert kinds == {"resize_conv": False, "transposed_conv": True}


@pytest.mark.parametrize("gain", [0.02, 0.2])
def test_the_gain_is_the_spread_of_the_initial_weights(gain: float) -> None:
    torch.manual_seed(0)
    spec = model(generator={"width": 16, "blocks": 2}, discriminator={"width": 16, "layers": 2})
    for net in (build_generator(spec, 1, gain), build_discriminator(spec, 1, gain)):
        kernels = [weight.detach().flatten() for weight in net.parameters() if weight.dim() == 4]
        assert float(torch.cat(kernels).std()) == pytest.approx(gain, rel=0.1)


def test_the_discriminator_has_a_logit_per_patch() -> None:
    net = build_discriminator(model(discriminator={"width": 4, "layers": 2}), 1, 0.02)
    assert net(IMAGES).shape == (2, 1, 8, 8)


def test_the_discriminator_may_be_cyclegans() -> None:
    spec = model(discriminator={"name": "cyclegan", "width": 4, "layers": 2})
    assert build_discriminator(spec, 1, 0.02)(IMAGES).shape == (2, 1, 6, 6)


def test_the_feature_discriminator_reads_logits() -> None:
    net = build_feature_discriminator(model(feature_discriminator={"width": 8}), CLASSES)
    assert net(torch.zeros(2, CLASSES)).shape == (2, 2)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"name": "lenet", "width": 4}, LeNet),
        ({"name": "dtn"}, DTN),
        ({"name": "resnet18"}, ResNet18),
        ({"name": "torchvision:resnet18", "bottleneck": 4}, Backbone),
    ],
)
def test_the_classifier_of_the_spec_has_a_logit_per_class(
    settings: dict[str, Any], kind: type[nn.Module]
) -> None:
    images = make_spec(size=32).data.source
    net = build_classifier(model(classifier=settings).classifier, images, CLASSES)
    assert isinstance(net, kind)
    assert net.eval()(IMAGES).shape == (2, CLASSES)


def test_the_classifiers_dropout_is_that_of_the_spec() -> None:
    images = make_spec(size=32).data.source
    for name in ("lenet", "dtn"):
        spec = model(classifier={"name": name, "dropout": 0.25}).classifier
        net = build_classifier(spec, images, CLASSES)
        dropouts = [part.p for part in net.modules() if isinstance(part, nn.Dropout)]
        assert 0.25 in dropouts


@pytest.mark.parametrize(
    ("options", "of_norms", "of_others"),
    [
        ({"channels_last": True}, torch.channels_last, torch.channels_last),
        ({"channels_last": False}, torch.contiguous_format, torch.contiguous_format),
        ({}, torch.contiguous_format, torch.channels_last),
        ({"compile": True}, torch.channels_last, torch.channels_last),
    ],
)
def test_to_device_moves_a_network_in_place_to_its_layout(
    options: dict[str, Any], of_norms: torch.memory_format, of_others: torch.memory_format
) -> None:
    convolutions = (nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3))
    training = TrainingSpec(**options)
    with_norm = nn.Sequential(convolutions[0], InstanceNorm(4))
    assert to_device(with_norm, CPU, training) is with_norm
    assert convolutions[0].weight.is_contiguous(memory_format=of_norms)
    to_device(convolutions[1], CPU, training)
    assert convolutions[1].weight.is_contiguous(memory_format=of_others)


@pytest.mark.parametrize("in_hardware", [True, False])
def test_precision_auto_is_bf16_where_the_device_has_it(
    in_hardware: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def supported(*, including_emulation: bool) -> bool:
        return in_hardware or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    auto = TrainingSpec(precision="auto")
    cuda = torch.device("cuda", 0)
    assert uses_bf16(auto, cuda) is in_hardware
    assert not uses_bf16(auto, CPU)
    assert [uses_bf16(TrainingSpec(precision=p), CPU) for p in ("fp32", "bf16")] == [False, True]
