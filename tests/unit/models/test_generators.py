from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from adaptune.models.generators import ResnetGenerator, UnshuffleGenerator, icnr_

SIZES = [16, 32, 64, 128, 256]
GENERATORS = {
    "resize": lambda c: ResnetGenerator(c, width=4, blocks=1),
    "transposed": lambda c: ResnetGenerator(c, width=4, blocks=1, transposed=True),
    "unshuffle": lambda c: UnshuffleGenerator(c, width=4, blocks=1),
}
each_generator = pytest.mark.parametrize("name", list(GENERATORS))


@each_generator
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_their_shape_and_range(name: str, size: int, channels: int) -> None:
    images = torch.rand(1, channels, size, size) * 2 - 1
    with torch.no_grad():
        translated = GENERATORS[name](channels)(images)
    assert translated.shape == images.shape
    assert translated.abs().max() <= 1


@pytest.mark.parametrize(("factor", "size"), [(2, 16), (4, 16), (8, 32), (8, 256), (2, 128)])
def test_every_factor_of_unshuffle(factor: int, size: int) -> None:
    net = UnshuffleGenerator(5, width=4, blocks=0, factor=factor)
    assert net(torch.zeros(2, 5, size, size)).shape == (2, 5, size, size)


@each_generator
def test_eval_equals_train_and_nothing_is_remembered(name: str) -> None:
    net = GENERATORS[name](3)
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(net.train()(images), net.eval()(images))
    assert not list(net.buffers())


@each_generator
def test_images_of_a_batch_do_not_touch_each_other(name: str) -> None:
    net = GENERATORS[name](3).double()
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(net(images)[1:3], net(images[1:3]), rtol=1e-10, atol=1e-10)


def test_icnr_shuffles_to_nearest_neighbour_upsampling() -> None:
    convolution = nn.Conv2d(2, 3 * 16, 3, padding=1, bias=False)
    icnr_(convolution.weight, 16)
    folded = convolution(torch.randn(1, 2, 4, 4))
    torch.testing.assert_close(
        F.pixel_shuffle(folded, 4), F.interpolate(folded[:, ::16], scale_factor=4, mode="nearest")
    )


def test_unshuffle_starts_without_a_checkerboard() -> None:
    net = UnshuffleGenerator(3, width=4, blocks=1)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    translated = net(images)
    blocks = F.avg_pool2d(translated, 4)
    torch.testing.assert_close(translated, F.interpolate(blocks, scale_factor=4, mode="nearest"))


def test_initialisation_follows_the_gain() -> None:
    torch.manual_seed(0)
    net = ResnetGenerator(3, width=16, blocks=2, init_gain=0.1)
    weights = torch.cat(
        [part.weight.flatten() for part in net.modules() if isinstance(part, nn.Conv2d)]
    )
    assert weights.std().item() == pytest.approx(0.1, rel=0.05)
    norms = [part for part in net.modules() if isinstance(part, nn.InstanceNorm2d)]
    scales = torch.cat([norm.weight for norm in norms])
    assert scales.mean().item() == pytest.approx(1, abs=0.05)
    assert scales.std().item() == pytest.approx(0.1, rel=0.2)
    assert net.net[-1].bias is not None
    assert not net.net[-1].bias.any()


@each_generator
def test_images_are_float32_under_autocast(name: str) -> None:
    net = GENERATORS[name](3)
    with torch.autocast("cpu", torch.bfloat16):
        translated = net(torch.zeros(1, 3, 16, 16))
    assert translated.dtype == torch.float32
    assert net.double()(torch.zeros(1, 3, 16, 16).double()).dtype == torch.float64


@each_generator
def test_saturated_pixels_keep_a_gradient_under_autocast(name: str) -> None:
    net = GENERATORS[name](1)
    last = [part for part in net.modules() if isinstance(part, nn.Conv2d)][-1]
    assert last.bias is not None
    nn.init.constant_(last.bias, -4.0)
    with torch.autocast("cpu", torch.bfloat16):
        translated = net(torch.zeros(1, 1, 16, 16))
    assert translated.max() < -0.99
    (slope,) = torch.autograd.grad(translated.sum(), last.bias)
    assert (slope != 0).all()
