from __future__ import annotations

import pytest
import torch

from adaptune.models.discriminators import FeatureDiscriminator, PatchDiscriminator

# A discriminator leaves at least 4 px: the spec refuses others.
CASES = [
    (size, layers)
    for size in (16, 32, 64, 128, 256)
    for layers in range(1, 6)
    if size >> layers >= 4
]


@pytest.mark.parametrize(("size", "layers"), CASES)
@pytest.mark.parametrize("channels", [1, 3])
def test_one_logit_a_patch(size: int, layers: int, channels: int) -> None:
    edge = size >> layers
    with torch.no_grad():
        logits = PatchDiscriminator(channels, width=4, layers=layers)(
            torch.zeros(2, channels, size, size)
        )
    assert logits.shape == (2, 1, edge, edge)


def test_real_and_fake_in_one_call_equal_two_calls() -> None:
    net = PatchDiscriminator(3, width=4, layers=2).double()
    real, fake = torch.randn(2, 3, 3, 16, 16, dtype=torch.float64)
    together = net(torch.cat([real, fake]))
    torch.testing.assert_close(together, torch.cat([net(real), net(fake)]), rtol=1e-10, atol=1e-10)


def test_eval_equals_train() -> None:
    net, images = PatchDiscriminator(1, width=4, layers=2), torch.randn(2, 1, 16, 16)
    assert torch.equal(net.train()(images), net.eval()(images))


def test_feature_discriminator_tells_two_domains() -> None:
    assert FeatureDiscriminator(10, width=8)(torch.zeros(4, 10)).shape == (4, 2)
