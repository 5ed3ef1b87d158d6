from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptune.models.discriminators import (
    CycleGANDiscriminator,
    FeatureDiscriminator,
    PatchDiscriminator,
)

Discriminator = type[CycleGANDiscriminator] | type[PatchDiscriminator]
both = pytest.mark.parametrize("network", [CycleGANDiscriminator, PatchDiscriminator])

# The spec refuses a discriminator that leaves less than 4 px.
CASES = []
for case_size in (16, 36, 32, 64, 96, 128, 160, 224, 256):
    CASES += [(case_size, layers) for layers in range(1, 6) if case_size >> layers >= 4]


@pytest.mark.parametrize(("size", "layers"), CASES)
@pytest.mark.parametrize("channels", [1, 3])
def test_one_logit_per_patch(size: int, layers: int, channels: int) -> None:
    edge = size >> layers
    net = PatchDiscriminator(channels, width=4, layers=layers)
    with torch.no_grad():
        logits = net(torch.zeros(2, channels, size, size))
    assert logits.shape == (2, 1, edge, edge)


@pytest.mark.parametrize(("size", "layers"), CASES)
def test_cyclegans_has_two_logits_less_per_edge(size: int, layers: int) -> None:
    edge = (size >> layers) - 2
    with torch.device("meta"):
        net = CycleGANDiscriminator(3, width=4, layers=layers)
        assert net(torch.zeros(2, 3, size, size)).shape == (2, 1, edge, edge)


def test_cyclegans_has_as_many_weights_as_in_its_code() -> None:
    weights = sum(parameter.numel() for parameter in CycleGANDiscriminator(3).parameters())
    # There, 2,764,737 with 128 + 256 + 512 biases that instance norm cancels.
    assert weights == 2_764_737 - 896


def receptive_field(net: nn.Module, size: int) -> int:
    """The edge in px of the area whose pixels change the logit in the middle."""
    layers: list[nn.Module] = []
    for part in net.modules():
        if isinstance(part, nn.Conv2d):  # norms see the whole image
            layers.append(part)
    convolutions = nn.Sequential(*layers).double()
    with torch.no_grad():
        for parameter in convolutions.parameters():
            parameter.fill_(1.0)
    images = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    logits = convolutions(images)
    middle = logits.shape[-1] // 2
    (slope,) = torch.autograd.grad(logits[0, 0, middle, middle], images)
    return int((slope[0, 0].abs().sum(0) > 0).sum())


# The table of docs/concepts/losses.md.
@pytest.mark.parametrize(
    ("network", "fields"),
    [(PatchDiscriminator, [8, 18, 38, 78, 158]), (CycleGANDiscriminator, [16, 34, 70, 142, 286])],
)
def test_the_receptive_fields_are_those_of_the_table(
    network: Discriminator, fields: list[int]
) -> None:
    for layers, field in enumerate(fields, start=1):
        assert receptive_field(network(1, width=1, layers=layers), 640) == field


def test_the_width_doubles_up_to_eight_times() -> None:
    net = PatchDiscriminator(3, width=4, layers=5)
    convolutions = [layer for layer in net.net if isinstance(layer, nn.Conv2d)]
    assert [layer.in_channels for layer in convolutions] == [3, 4, 8, 16, 32, 32]
    assert [layer.out_channels for layer in convolutions] == [4, 8, 16, 32, 32, 1]


@both
def test_real_and_fake_in_one_call_equal_two_calls(network: Discriminator) -> None:
    net = network(3, width=4, layers=2).double()
    real, fake = torch.randn(2, 3, 3, 16, 16, dtype=torch.float64)
    together = net(torch.cat([real, fake]))
    torch.testing.assert_close(together, torch.cat([net(real), net(fake)]), rtol=1e-10, atol=1e-10)


@both
def test_eval_equals_train(network: Discriminator) -> None:
    net, images = network(1, width=4, layers=2), torch.randn(2, 1, 16, 16)
    assert torch.equal(net.train()(images), net.eval()(images))


def test_feature_discriminator_has_two_logits() -> None:
    assert FeatureDiscriminator(10, width=8)(torch.zeros(4, 10)).shape == (4, 2)
