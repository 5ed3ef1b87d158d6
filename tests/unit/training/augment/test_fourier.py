from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptune.training.augment.fourier import fourier_adapted


def images(seed: int, *, low: float = -1.0, high: float = 1.0, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(4, 3, size, size, generator=generator)
    return low + (high - low) * uniform


def spectrum(batch: Tensor) -> Tensor:
    """Return the Fourier transform of images whose black is 0."""
    return torch.fft.fft2((batch + 1) / 2)


def test_a_square_of_size_0_leaves_the_images_as_they_are() -> None:
    source = images(0)
    assert fourier_adapted(source, images(1), 0.0) is source


@pytest.mark.parametrize("size", [15, 16])
def test_low_amplitudes_are_those_of_the_target_and_all_phases_those_of_the_source(
    size: int,
) -> None:
    # Images that are far from black and white, so that none is cut off.
    source = images(0, low=-0.2, high=0.2, size=size)
    target = images(1, low=-0.2, high=0.2, size=size)
    adapted = fourier_adapted(source, target, 0.2)  # up to frequency 3
    frequencies = torch.fft.fftfreq(size, 1 / size).abs()
    is_low = torch.maximum(frequencies[:, None], frequencies) <= 3
    assert is_low.sum() == 7**2
    expected = torch.where(is_low, spectrum(target).abs(), spectrum(source).abs())
    torch.testing.assert_close(spectrum(adapted).abs(), expected, rtol=1e-4, atol=1e-4)
    turned = spectrum(adapted) * spectrum(source).conj()
    torch.testing.assert_close(turned.imag, torch.zeros_like(turned.imag), rtol=0, atol=1e-3)
    assert (turned.real > 0).all()


def test_a_plain_image_gets_the_brightness_of_the_target() -> None:
    source = torch.full((1, 1, 8, 8), -0.75)
    target = torch.full((1, 1, 8, 8), 0.5)
    adapted = fourier_adapted(source, target, 0.1)  # frequency 0 only
    torch.testing.assert_close(adapted, target)


def test_an_image_is_its_own_translation() -> None:
    source = images(0)
    torch.testing.assert_close(fourier_adapted(source, source, 0.3), source)


def test_the_images_stay_in_their_range_and_shape() -> None:
    adapted = fourier_adapted(images(0), images(1), 0.5)
    assert adapted.shape == (4, 3, 16, 16)
    assert adapted.abs().max() <= 1


def test_an_image_depends_on_its_own_target_image_only() -> None:
    source, target = images(0), images(1)
    whole = fourier_adapted(source, target, 0.2)
    halves = [fourier_adapted(source[part::2], target[part::2], 0.2) for part in range(2)]
    for part, half in enumerate(halves):
        torch.testing.assert_close(half, whole[part::2])


@pytest.mark.parametrize("beta", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("size", [9, 16])
def test_all_other_frequencies_keep_every_bit(size: int, beta: float) -> None:
    source, target = images(0, size=size), images(1, size=size)
    highest = int(beta * size)
    source_spectrum = torch.fft.rfft2((source + 1) / 2)
    amplitudes = torch.fft.rfft2((target + 1) / 2).abs()
    rows = torch.fft.fftfreq(size, 1 / size).abs() <= highest
    columns = torch.fft.rfftfreq(size, 1 / size) <= highest
    is_low = rows[:, None] & columns
    mixed = torch.where(is_low, torch.polar(amplitudes, source_spectrum.angle()), source_spectrum)
    expected = (2 * torch.fft.irfft2(mixed, s=(size, size)) - 1).clamp(-1, 1)
    assert torch.equal(fourier_adapted(source, target, beta), expected)


def test_each_of_several_batches_gets_the_same_target_images() -> None:
    first, second, target = images(0), images(1), images(2)
    both = fourier_adapted(torch.cat([first, second]), target, 0.2)
    assert torch.equal(both[:4], fourier_adapted(first, target, 0.2))
    assert torch.equal(both[4:], fourier_adapted(second, target, 0.2))
