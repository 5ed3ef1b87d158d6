from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.domains import load

from adaptune.data.digits import mnist5k, mnistm5k, optdigits
from adaptune.data.domain import ALL_SAMPLES, FIRST_HALF, SECOND_HALF, LoadRequest


def request(half: slice = ALL_SAMPLES, seed: int = 0) -> LoadRequest:
    return LoadRequest(root=Path("unused"), path=None, seed=seed, half=half)


@pytest.mark.parametrize(
    ("name", "size"), [("mnist5k", 5000), ("mnistm5k", 5000), ("optdigits", 1797)]
)
def test_built_in_digits_load_in_the_common_form(name: str, size: int) -> None:
    domain = load(name, channels=1, size=32)
    assert domain.images.shape == (size, 1, 32, 32)
    assert domain.images.dtype == np.uint8
    assert domain.labels.dtype == np.int64
    assert domain.class_names == tuple("0123456789")
    assert set(domain.labels) == set(range(10))
    assert domain.images.max() > 200


def test_the_halves_of_mnist5k_are_stratified_and_share_no_digit() -> None:
    first, second = mnist5k(request(FIRST_HALF)), mnist5k(request(SECOND_HALF))
    assert np.bincount(first.labels).tolist() == np.bincount(second.labels).tolist() == [250] * 10
    first_images = {image.tobytes() for image in first.images}
    second_images = {image.tobytes() for image in second.images}
    assert not first_images & second_images


def test_mnistm5k_is_the_difference_of_a_photograph_and_the_digit() -> None:
    digits, blended = mnist5k(request()), mnistm5k(request())
    off = digits.images == 0
    on = digits.images == 255
    assert blended.images.shape == (5000, 28, 28, 3)
    assert blended.images.dtype == np.uint8
    # Where the digit is full, the photograph appears as its negative.
    assert abs(blended.images[off].mean() + blended.images[on].mean() - 255) < 10


def test_mnistm5k_depends_on_the_seed_alone() -> None:
    whole = mnistm5k(request(seed=1))
    half = mnistm5k(request(SECOND_HALF, seed=1))
    assert np.array_equal(half.images, whole.images[SECOND_HALF])
    assert np.array_equal(half.labels, whole.labels[SECOND_HALF])
    assert not np.array_equal(mnistm5k(request(seed=2)).images, whole.images)


def test_the_16_grey_levels_of_optdigits_are_stretched_to_255() -> None:
    images = optdigits(request()).images
    assert isinstance(images, np.ndarray)
    assert np.unique(images).tolist() == [round(level * 255 / 16) for level in range(17)]


def test_loading_draws_nothing_from_the_global_generators() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    load("mnistm5k", limit=50, size=16)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
