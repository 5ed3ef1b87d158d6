from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from torchvision import models

from adaptune.data.device_images import DeviceImages
from adaptune.data.image_set import in_memory
from adaptune.models.backbones import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    timm_backbone,
    torchvision_backbone,
)
from adaptune.training.validation import predict_all

# A name and the name of its head, per family.
FAMILIES = {
    "resnet18": "fc",
    "mobilenet_v3_small": "classifier.3",
    "convnext_tiny": "classifier.2",
}


def trained(name: str, **options: Any) -> nn.Module:
    """A network of torchvision whose weights and statistics all differ from the initial ones."""
    torch.manual_seed(0)
    net: nn.Module = models.get_model(name, **options).eval()
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.mul_(1 + 0.1 * torch.rand_like(value)).add_(0.01 * torch.rand_like(value))
    return net


def imagenet_normalised(images: Tensor) -> Tensor:
    """Normalise as torchvision documents it, for images in [-1, 1]."""
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(3, 1, 1)
    return ((images + 1) / 2 - mean) / std


@pytest.mark.parametrize("name", FAMILIES)
def test_torchvisions_weights_give_torchvisions_logits(name: str) -> None:
    reference = trained(name)
    weights = reference.state_dict()
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    net = torchvision_backbone(name, 3, 64, 5, pretrained=True).eval()
    net.load_pretrained(weights)
    head = FAMILIES[name]
    with torch.no_grad():
        # The head of the file has other classes, so it is applied to the features here.
        logits = F.linear(net.features(images), weights[f"{head}.weight"], weights[f"{head}.bias"])
        expected = reference(imagenet_normalised(images))
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_a_grey_image_is_repeated_for_pretrained_weights() -> None:
    net = torchvision_backbone("resnet18", 1, 32, 3, pretrained=True).eval()
    grey = torch.rand(2, 1, 32, 32) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(net(grey), net(grey.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_an_untrained_backbone_takes_any_number_of_channels(channels: int) -> None:
    net = torchvision_backbone("mobilenet_v3_small", channels, 32, 4).eval()
    images = torch.randn(2, channels, 32, 32)
    with torch.no_grad():
        assert net(images).shape == (2, 4)
        assert torch.equal(net.features(images), net.body(images))  # without normalisation
    stem = next(part for part in net.modules() if isinstance(part, nn.Conv2d))
    assert (stem.in_channels, stem.out_channels, stem.stride, stem.bias) == (
        channels,
        16,
        (2, 2),
        None,
    )


def test_the_bottleneck_is_linear_and_batch_norm() -> None:
    net = torchvision_backbone("resnet18", 3, 32, 4, bottleneck=8)
    images = torch.randn(16, 3, 32, 32)
    features = net.features(images)
    assert features.shape == (16, 8)
    torch.testing.assert_close(features.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    assert bool((features < 0).any())
    torch.testing.assert_close(net.head(features), net(images))
    assert [type(part) for part in net.bottleneck] == [nn.Linear, nn.BatchNorm1d]


def test_the_state_dict_holds_weights_only() -> None:
    plain = torchvision_backbone("resnet18", 3, 32, 4).state_dict()
    pretrained = torchvision_backbone("resnet18", 3, 32, 4, pretrained=True).state_dict()
    assert plain.keys() == pretrained.keys()


def fault(weights: Mapping[str, Tensor]) -> str:
    net = torchvision_backbone("resnet18", 3, 32, 4, pretrained=True)
    with pytest.raises(ValueError, match=r"layer|conv1|model") as error:
        net.load_pretrained(weights)
    return str(error.value)


def test_weights_that_do_not_fit_are_refused() -> None:
    weights = models.resnet18().state_dict()
    missing = {name: value for name, value in weights.items() if name != "layer1.0.conv1.weight"}
    assert fault(missing) == "layer1.0.conv1.weight is missing"
    wide = weights | {"conv1.weight": torch.zeros(64, 1, 7, 7)}
    assert fault(wide) == "conv1.weight is (64, 1, 7, 7) instead of (64, 3, 7, 7)"
    assert fault(weights | {"model.weight": torch.zeros(1)}) == "model.weight is unknown"
    assert fault(models.mobilenet_v3_small().state_dict()).startswith(
        "conv1.weight is missing, bn1"
    )
    assert " more" in fault(models.resnet34().state_dict())


def test_old_files_may_lack_the_counters_of_batch_norm_and_the_head() -> None:
    net = torchvision_backbone("resnet18", 3, 32, 4, pretrained=True)
    weights = {}
    for name, value in trained("resnet18").state_dict().items():
        if not name.endswith("num_batches_tracked") and not name.startswith("fc."):
            weights[name] = value
    net.load_pretrained(weights)
    assert torch.equal(net.body.state_dict()["bn1.running_mean"], weights["bn1.running_mean"])


def test_the_names_in_torchvisions_files_for_densenet_are_read() -> None:
    with torch.device("meta"):
        net = torchvision_backbone("densenet121", 3, 32, 4, pretrained=True)
        weights = {}
        for name, value in models.densenet121().state_dict().items():
            weights[name.replace("norm1", "norm.1").replace("conv2", "conv.2")] = value
    assert any(".norm.1." in name for name in weights)
    assert net.body_weights(weights).keys() == net.body.state_dict().keys()


def test_position_embeddings_are_resized_for_the_images() -> None:
    with torch.device("meta"):
        net = torchvision_backbone("vit_b_32", 3, 96, 4, pretrained=True)
        weights = models.vit_b_32().state_dict()
    positions = {"encoder.pos_embedding": torch.randn(1, 1 + 7 * 7, 768)}
    fitted = net.body_weights(weights | positions)
    assert fitted["encoder.pos_embedding"].shape == (1, 1 + 3 * 3, 768)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_left_out(name: str) -> None:
    with torch.device("meta"):
        net = torchvision_backbone(name, 3, 96, 4, pretrained=True).train()
        weights = models.get_model(name, init_weights=False).state_dict()
        assert net(torch.zeros(2, 3, 96, 96)).shape == (2, 4)
    assert any(part.startswith(("aux1", "AuxLogits")) for part in weights)
    assert net.body_weights(weights)


def test_a_regnet_can_be_built_without_memory() -> None:
    with torch.device("meta"):
        net = torchvision_backbone("regnet_y_400mf", 1, 32, 4)
    assert {value.device.type for value in net.state_dict().values()} == {"meta"}


@pytest.mark.parametrize("name", ["convnextv2_atto", "repvit_m0_9", "levit_128s"])
def test_the_weights_of_a_whole_network_of_timm_are_those_of_its_body(name: str) -> None:
    whole = timm.create_model(name, num_classes=7).eval()
    net = timm_backbone(name, 3, 224, 4, bottleneck=5, pretrained=True).eval()
    net.load_pretrained(whole.state_dict())
    images = torch.rand(2, 3, 224, 224)
    mean, std = (torch.tensor(whole.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        expected = whole.forward_head(
            whole.forward_features((images - mean) / std), pre_logits=True
        )
        torch.testing.assert_close(net.features(2 * images - 1), net.bottleneck(expected))


def test_a_vision_transformer_of_timm_takes_other_sizes_and_channels() -> None:
    net = timm_backbone("vit_tiny_patch16_224", 5, 48, 4).eval()
    assert net(torch.zeros(2, 5, 48, 48)).shape == (2, 4)


def test_an_evaluation_of_timms_network_uses_the_weights_that_it_has() -> None:
    """Some of its networks keep values that depend on the weights until they are trained."""
    images = DeviceImages(in_memory(np.zeros((2, 3, 224, 224), dtype=np.uint8)), None, "cpu")
    net = timm_backbone("levit_128s", 3, 224, 4)
    predict_all(net, images)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2)
    outputs = predict_all(net, images)
    torch.testing.assert_close(
        outputs.features, predict_all(deepcopy(net).train(), images).features
    )
