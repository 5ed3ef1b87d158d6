from __future__ import annotations

import pytest
import torch

from adaptune.models.classifiers import DTN, LeNet, ResNet18
from adaptune.spec.schema import CLASSIFIER_SIZES

SIZES = [16, 32, 64, 128, 256]
CASES = [
    (name, s) for name, (low, high) in CLASSIFIER_SIZES.items() for s in SIZES if low <= s <= high
]


def build(name: str, channels: int, size: int, classes: int) -> torch.nn.Module:
    if name == "resnet18":
        return ResNet18(channels, classes)
    return {"lenet": LeNet, "dtn": DTN}[name](channels, size, classes)


@pytest.mark.parametrize(("name", "size"), CASES)
@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 2)])
def test_logits_shape_at_every_size_of_the_table(
    name: str, size: int, channels: int, classes: int
) -> None:
    net = build(name, channels, size, classes)
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, channels, size, size)).shape == (1, classes)
        assert net.train()(torch.randn(2, channels, size, size)).shape == (2, classes)


@pytest.mark.parametrize("name", ["lenet", "dtn"])
def test_dropout_acts_in_training_only(name: str) -> None:
    net, images = build(name, 1, 32, 3), torch.randn(4, 1, 32, 32)
    assert torch.equal(net.eval()(images), net(images))
    assert not torch.equal(net.train()(images), net(images))


def test_lenet_without_dropout_is_the_same_in_training() -> None:
    net, images = LeNet(1, 16, 3, dropout=0), torch.randn(4, 1, 16, 16)
    assert torch.equal(net.train()(images), net.eval()(images))
