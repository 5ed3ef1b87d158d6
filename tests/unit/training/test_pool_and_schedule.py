from __future__ import annotations

import pytest
import torch
from support.tiny_trial import make_spec, make_state

from adaptune.training.image_pool import ImagePool
from adaptune.training.schedule import lr_factor


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


def test_size_0_gives_the_images_back() -> None:
    pool, images = ImagePool(0), numbered(0, 4)
    assert torch.equal(pool.query(images, seeded()), images)
    assert pool.images is None


def test_same_generator_same_images() -> None:
    runs = []
    for _ in range(2):
        pool, random = ImagePool(4), seeded(3)
        runs.append(torch.cat([pool.query(numbered(5 * turn, 5), random) for turn in range(6)]))
    assert torch.equal(*runs)


def test_schedule_against_golden_factors() -> None:
    golden = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    assert [lr_factor(step / 10, 0.5) for step in range(10)] == pytest.approx(golden)
    assert lr_factor(1.0, 0.5) == 0


def test_schedule_from_the_start_and_never() -> None:
    assert [lr_factor(p, 0.0) for p in (0.0, 0.25, 0.5)] == [1.0, 0.75, 0.5]
    assert [lr_factor(p, 1.0) for p in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]


def test_every_optimizer_gets_its_own_rate() -> None:
    rates = {
        "generator_lr": 4e-4,
        "discriminator_lr": 3e-4,
        "classifier_lr": 2e-4,
        "feature_discriminator_lr": 1e-4,
    }
    state = make_state(make_spec(**rates))
    state.step = 6  # of 8; half of the second half is over
    state.set_learning_rates()
    names = ("generators", "discriminators", "f_target", "d_feature")
    found = [getattr(state.optimizers, name).param_groups[0]["lr"] for name in names]
    assert found == pytest.approx([rate / 2 for rate in rates.values()])
