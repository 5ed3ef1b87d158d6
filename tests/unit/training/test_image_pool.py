from __future__ import annotations

import pytest
import torch

from adaptune.training.image_pool import ImagePool


def numbered(start: int, count: int) -> torch.Tensor:
    return torch.arange(start, start + count, dtype=torch.float32).reshape(-1, 1, 1, 1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_passes_through_until_full() -> None:
    pool = ImagePool(10)
    for start in (0, 5):
        assert torch.equal(pool.query(numbered(start, 5), seeded()), numbered(start, 5))
    assert pool.images is not None
    assert torch.equal(pool.images, numbered(0, 10))


def swapped_one_by_one(
    pool: torch.Tensor, images: torch.Tensor, size: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the result of a query, and the pool after it, by a loop over the images."""
    room = min(size - len(pool), len(images))
    pool = torch.cat([pool, images[:room]])
    result = images.clone()
    swap = torch.rand(len(images), generator=generator) < 0.5
    slots = torch.randperm(size, generator=generator)
    swapped = [index for index in range(room, len(images)) if swap[index]]
    for turn, index in enumerate(swapped):
        slot = slots[turn % size]
        result[index] = pool[slot]
        pool[slot] = images[index]
    return result, pool


@pytest.mark.parametrize(("size", "count"), [(5, 2), (7, 7), (50, 64), (5, 13), (9, 4), (1, 3)])
def test_a_query_has_the_images_of_a_loop(size: int, count: int) -> None:
    pool, expected_pool = ImagePool(size), numbered(0, 0)
    for turn in range(12):
        images = numbered(count * turn, count)
        expected, expected_pool = swapped_one_by_one(expected_pool, images, size, seeded(turn))
        assert torch.equal(pool.query(images, seeded(turn)), expected)
        assert pool.images is not None
        assert torch.equal(pool.images, expected_pool)


def test_a_query_changes_the_pool_in_place() -> None:
    pool = ImagePool(4)
    pool.query(numbered(0, 2), seeded())
    assert pool.images is not None
    place = pool.images.data_ptr()
    for turn in range(1, 5):
        pool.query(numbered(3 * turn, 3), seeded(turn))
        assert pool.images.data_ptr() == place


def test_swaps_half_of_them_once_full() -> None:
    pool, random = ImagePool(8), seeded()
    pool.query(numbered(0, 8), random)
    swapped = 0
    for turn in range(500):
        new = numbered(8 + 4 * turn, 4)
        result = pool.query(new, random)
        old = result[result != new]
        swapped += len(old)
        assert (old < new[0]).all()
    assert swapped / 2000 == pytest.approx(0.5, abs=0.04)


def test_nothing_is_lost_and_nothing_doubled() -> None:
    pool, random = ImagePool(3), seeded()
    given, returned = [], []
    for turn in range(20):
        new = numbered(7 * turn, 7)
        given += new.flatten().tolist()
        result = pool.query(new, random)
        passed = 3 if turn == 0 else 0  # these come out and are kept as well
        returned += result.flatten().tolist()[passed:]
    assert pool.images is not None
    assert len(pool.images) == 3
    assert sorted(returned + pool.images.flatten().tolist()) == sorted(given)


def test_carries_no_gradient_and_keeps_its_own_copy() -> None:
    pool = ImagePool(4)
    images = numbered(0, 4).requires_grad_()
    result = pool.query(images * 1.0, seeded())
    assert not result.requires_grad
    assert pool.images is not None
    assert not pool.images.requires_grad
    result.fill_(-1)
    assert torch.equal(pool.images, numbered(0, 4))


def test_size_0_returns_the_images() -> None:
    pool, images = ImagePool(0), numbered(0, 4)
    assert torch.equal(pool.query(images, seeded()), images)
    assert pool.images is None


def test_same_generator_same_images() -> None:
    runs = []
    for _ in range(2):
        pool, random = ImagePool(4), seeded(3)
        runs.append(torch.cat([pool.query(numbered(5 * turn, 5), random) for turn in range(6)]))
    assert torch.equal(*runs)


def test_a_loaded_pool_continues_like_the_saved_one() -> None:
    saved = ImagePool(4)
    saved.query(numbered(0, 6), seeded())
    loaded = ImagePool(4)
    loaded.load(saved.cpu_images(), torch.device("cpu"))
    expected = saved.query(numbered(6, 4), seeded(1))
    assert torch.equal(loaded.query(numbered(6, 4), seeded(1)), expected)


def test_saved_images_do_not_change_with_the_pool() -> None:
    pool = ImagePool(4)
    pool.query(numbered(0, 4), seeded())
    saved = pool.cpu_images()
    loaded = ImagePool(4)
    loaded.load(saved, torch.device("cpu"))
    for each in (pool, loaded):
        each.query(numbered(4, 8), seeded())
        assert each.images is not None
        assert not torch.equal(each.images, numbered(0, 4))
    assert saved is not None
    assert torch.equal(saved, numbered(0, 4))


def test_an_empty_pool_stays_empty_when_loaded() -> None:
    pool = ImagePool(4)
    assert pool.cpu_images() is None
    pool.query(numbered(0, 4), seeded())
    pool.load(None, torch.device("cpu"))
    assert pool.images is None
