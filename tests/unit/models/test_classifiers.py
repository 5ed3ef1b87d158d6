from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptune.models.classifiers import DTN, Classifier, LeNet, ResNet18
from adaptune.spec.sizes import CLASSIFIER_SIZES

SIZES = [16, 24, 32, 40, 64, 96, 128, 224, 256]
CASES = []
for case_name, (smallest, largest) in CLASSIFIER_SIZES.items():
    CASES += [(case_name, size) for size in SIZES if smallest <= size <= largest]


def build(name: str, channels: int, size: int, classes: int) -> Classifier:
    if name == "resnet18":
        return ResNet18(channels, classes)
    if name == "dtn":
        return DTN(channels, size, classes)
    return LeNet(channels, size, classes)


@pytest.mark.parametrize(("name", "size"), CASES)
@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 2)])
def test_logits_shape_at_every_size_of_the_table(
    name: str, size: int, channels: int, classes: int
) -> None:
    net = build(name, channels, size, classes)
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, channels, size, size)).shape == (1, classes)
        assert net.train()(torch.randn(2, channels, size, size)).shape == (2, classes)


@pytest.mark.parametrize(("name", "width"), [("lenet", 500), ("dtn", 512), ("resnet18", 512)])
def test_the_head_of_the_features_is_the_whole_classifier(name: str, width: int) -> None:
    net = build(name, 1, 32, 3).eval()
    images = torch.randn(4, 1, 32, 32)
    features = net.features(images)
    assert net.last_layer.in_features == width
    assert torch.equal(net.head(features), net.last_layer(features))
    assert features.shape == (4, width)
    torch.testing.assert_close(net.head(features), net(images))


def test_the_widths_of_lenet_are_in_proportion() -> None:
    net = LeNet(1, 16, 3, width=4)
    weights = [parameter.shape for name, parameter in net.named_parameters() if "weight" in name]
    assert weights == [(4, 1, 5, 5), (10, 4, 5, 5), (100, 10), (3, 100)]


def test_the_dropout_of_dtn_grows_with_depth() -> None:
    net = DTN(1, 32, 3, dropout=0.5)
    rates = [layer.p for layer in net.net if isinstance(layer, (nn.Dropout, nn.Dropout2d))]
    assert rates == pytest.approx([0.1, 0.3, 0.5, 0.5])


@pytest.mark.parametrize("name", ["lenet", "dtn"])
def test_dropout_acts_in_training_only(name: str) -> None:
    net, images = build(name, 1, 32, 3), torch.randn(4, 1, 32, 32)
    assert torch.equal(net.eval()(images), net(images))
    assert not torch.equal(net.train()(images), net(images))


def test_lenet_without_dropout_is_the_same_in_training() -> None:
    net, images = LeNet(1, 16, 3, dropout=0), torch.randn(4, 1, 16, 16)
    assert torch.equal(net.train()(images), net.eval()(images))
