from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from adaptune.losses.gan import Kind, adversarial_loss, discriminator_loss

SHAPE = (2, 1, 4, 4)


def test_lsgan_of_an_undecided_discriminator() -> None:
    half = torch.full(SHAPE, 0.5)
    assert discriminator_loss(half, half, "lsgan") == 0.25
    assert adversarial_loss(half, "lsgan") == 0.25


def test_lsgan_of_a_perfect_discriminator() -> None:
    real, fake = torch.ones(SHAPE), torch.zeros(SHAPE)
    assert discriminator_loss(real, fake, "lsgan") == 0
    assert adversarial_loss(fake, "lsgan") == 1


def test_lsgan_by_hand() -> None:
    real, fake = torch.tensor([2.0, 1.0]), torch.tensor([3.0, -1.0])
    assert discriminator_loss(real, fake, "lsgan") == 0.5 * (0.5 + 5.0)
    assert adversarial_loss(fake, "lsgan") == 4.0


def test_log_of_an_undecided_discriminator() -> None:
    zero = torch.zeros(SHAPE)
    assert discriminator_loss(zero, zero, "log").item() == pytest.approx(math.log(2))
    assert adversarial_loss(zero, "log").item() == pytest.approx(math.log(2))


def test_log_by_hand() -> None:
    real, fake = torch.tensor([1.0]), torch.tensor([2.0])
    real_loss = math.log1p(math.exp(-1.0))
    fake_loss = math.log1p(math.exp(2.0))
    loss = discriminator_loss(real, fake, "log")
    assert loss.item() == pytest.approx(0.5 * (real_loss + fake_loss))
    assert adversarial_loss(fake, "log").item() == pytest.approx(math.log1p(math.exp(-2.0)))


def test_hinge_of_an_undecided_discriminator() -> None:
    zero = torch.zeros(SHAPE)
    assert discriminator_loss(zero, zero, "hinge") == 1
    assert adversarial_loss(zero, "hinge") == 0


def test_hinge_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    # On real images 0 and ½, on translated ones 0 and 1½.
    assert discriminator_loss(real, fake, "hinge") == 0.5 * (0.25 + 0.75)
    assert adversarial_loss(fake, "hinge") == 1.25


def test_hinge_leaves_logits_beyond_the_margin_alone() -> None:
    real = torch.tensor([3.0, 0.0], requires_grad=True)
    fake = torch.tensor([-3.0, 0.0], requires_grad=True)
    on_real, on_fake = torch.autograd.grad(discriminator_loss(real, fake, "hinge"), [real, fake])
    assert on_real.tolist() == [0, -0.25]
    assert on_fake.tolist() == [0, 0.25]
    (slope,) = torch.autograd.grad(adversarial_loss(fake, "hinge"), fake)
    assert slope.tolist() == [-0.5, -0.5]


def test_log_stays_finite_if_the_discriminator_is_certain() -> None:
    certain = torch.tensor([200.0])
    assert discriminator_loss(certain, -certain, "log") == 0
    assert adversarial_loss(-certain, "log") == 200


def test_gradients_by_hand() -> None:
    fake = torch.tensor([0.5, -1.0], requires_grad=True)
    (slope,) = torch.autograd.grad(adversarial_loss(fake, "lsgan"), fake)
    torch.testing.assert_close(slope, fake.detach() - 1)  # 2 (D − 1) / 2 logits
    (slope,) = torch.autograd.grad(adversarial_loss(fake, "log"), fake)
    torch.testing.assert_close(slope, (torch.sigmoid(fake.detach()) - 1) / 2)


def test_gradients_of_the_discriminator_by_hand() -> None:
    real = torch.tensor([0.5, -1.0], requires_grad=True)
    fake = torch.tensor([2.0], requires_grad=True)
    on_real, on_fake = torch.autograd.grad(discriminator_loss(real, fake, "lsgan"), [real, fake])
    torch.testing.assert_close(on_real, (real.detach() - 1) / 2)  # ½ · 2 (D − 1) / 2 logits
    torch.testing.assert_close(on_fake, fake.detach())  # ½ · 2 D / 1 logit
    on_real, on_fake = torch.autograd.grad(discriminator_loss(real, fake, "log"), [real, fake])
    torch.testing.assert_close(on_real, (torch.sigmoid(real.detach()) - 1) / 4)
    torch.testing.assert_close(on_fake, torch.sigmoid(fake.detach()) / 2)


@pytest.mark.parametrize("kind", ["lsgan", "log", "hinge"])
def test_generator_pushes_the_other_way_than_discriminator(kind: Kind) -> None:
    fake = torch.zeros(SHAPE, requires_grad=True)
    shifted = fake + 0.3
    generator_loss = adversarial_loss(shifted, kind)
    (generator_slope,) = torch.autograd.grad(generator_loss, fake, retain_graph=True)
    opposing_loss = discriminator_loss(torch.ones(SHAPE), shifted, kind)
    (discriminator_slope,) = torch.autograd.grad(opposing_loss, fake)
    assert (generator_slope < 0).all()
    assert (discriminator_slope > 0).all()


@pytest.mark.parametrize("kind", ["lsgan", "log", "hinge"])
def test_one_call_on_real_and_fake_equals_two(kind: Kind) -> None:
    torch.manual_seed(0)
    weight = torch.randn(1, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    real, fake = torch.randn(2, 4, 3, 8, 8, dtype=torch.float64)
    together = discriminator_loss(*F.conv2d(torch.cat([real, fake]), weight).split(4), kind)
    apart = discriminator_loss(F.conv2d(real, weight), F.conv2d(fake, weight), kind)
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-10)
    (slope_together,) = torch.autograd.grad(together, weight)
    (slope_apart,) = torch.autograd.grad(apart, weight)
    torch.testing.assert_close(slope_together, slope_apart, rtol=1e-10, atol=1e-10)
