from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptune.models.discriminators import FeatureDiscriminator, PatchDiscriminator

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


def test_the_width_doubles_up_to_eight_times() -> None:
    net = PatchDiscriminator(3, width=4, layers=5)
    convolutions = [layer for layer in net.net if isinstance(layer, nn.Conv2d)]
    assert [layer.in_channels for layer in convolutions] == [3, 4, 8, 16, 32, 32]
    assert [layer.out_channels for layer in convolutions] == [4, 8, 16, 32, 32, 1]


def test_real_and_fake_in_one_call_equal_two_calls() -> None:
    net = PatchDiscriminator(3, width=4, layers=2).double()
    real, fake = torch.randn(2, 3, 3, 16, 16, dtype=torch.float64)
    together = net(torch.cat([real, fake]))
    torch.testing.assert_close(together, torch.cat([net(real), net(fake)]), rtol=1e-10, atol=1e-10)


def test_eval_equals_train() -> None:
    net, images = PatchDiscriminator(1, width=4, layers=2), torch.randn(2, 1, 16, 16)
    assert torch.equal(net.train()(images), net.eval()(images))


def test_feature_discriminator_has_two_logits() -> None:
    assert FeatureDiscriminator(10, width=8)(torch.zeros(4, 10)).shape == (4, 2)
