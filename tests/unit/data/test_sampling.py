from __future__ import annotations

import pytest
import torch

from adaptune.data.sampling import UnpairedSampler, shard
from adaptune.seeding import derive_seed


@pytest.mark.parametrize(("sizes", "batch"), [((10, 7), 4), ((3, 5), 16), ((8, 8), 8), ((1, 2), 3)])
def test_a_step_asked_for_alone_equals_the_stream(sizes: tuple[int, int], batch: int) -> None:
    stream = UnpairedSampler(*sizes, batch_size=batch, seed=1)
    streamed = [stream.indices(step) for step in range(12)]
    for step in (11, 0, 7, 3):
        alone = UnpairedSampler(*sizes, batch_size=batch, seed=1).indices(step)
        assert all(map(torch.equal, alone, streamed[step]))
        assert all(map(torch.equal, stream.indices(step), streamed[step]))


@pytest.mark.parametrize("batch", [1, 4, 25])
def test_every_sample_comes_once_a_pass(batch: int) -> None:
    sampler = UnpairedSampler(10, 7, batch_size=batch, seed=0)
    batches = [sampler.indices(step) for step in range(70)]
    for domain, size in ((0, 10), (1, 7)):
        stream = torch.cat([both[domain] for both in batches])
        for start in range(0, len(stream) - size + 1, size):
            assert sorted(stream[start : start + size].tolist()) == list(range(size))


def test_batches_are_global_int64_and_of_the_asked_size() -> None:
    source, target = UnpairedSampler(5, 100, batch_size=12, seed=0).indices(2)
    assert source.dtype == target.dtype == torch.int64
    assert source.shape == target.shape == (12,)


def test_passes_domains_and_seeds_have_their_own_orders() -> None:
    sampler = UnpairedSampler(50, 50, batch_size=50, seed=0)
    first, second = sampler.indices(0), sampler.indices(1)
    other = UnpairedSampler(50, 50, batch_size=50, seed=1).indices(0)
    orders = {tuple(order.tolist()) for order in (*first, *second, *other)}
    assert len(orders) == 6


def test_sampling_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    UnpairedSampler(50, 50, batch_size=8, seed=0).indices(3)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_empty_domains_and_batches_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        UnpairedSampler(*sizes, seed=0)


def test_the_order_is_the_one_that_earlier_results_were_trained_with() -> None:
    sampler = UnpairedSampler(10, 7, batch_size=10, seed=3)
    generator = torch.Generator().manual_seed(derive_seed(3, "source", 1))
    assert torch.equal(sampler.indices(1)[0], torch.randperm(10, generator=generator))


LABELS = torch.tensor([2] * 17 + [0] * 5 + [5] * 2)  # three classes of which one is rare


def balanced(batch: int, seed: int = 0) -> UnpairedSampler:
    return UnpairedSampler(len(LABELS), 7, batch, seed, balanced_labels=LABELS)


@pytest.mark.parametrize("batch", [1, 3, 4, 32])
def test_balanced_classes_come_equally_often_and_so_does_each_sample_of_a_class(batch: int) -> None:
    sampler = balanced(batch)
    steps = 2 * 3 * 17 * 5
    stream = torch.cat([sampler.indices(step)[0] for step in range(-(-steps // batch))])
    for start in range(0, steps, 3):  # each class once
        assert sorted(LABELS[stream[start : start + 3]].tolist()) == [0, 2, 5]
    counts = torch.bincount(stream[:steps], minlength=len(LABELS))
    for label, members in ((2, 17), (0, 5), (5, 2)):
        assert (counts[label == LABELS] == 2 * 17 * 5 // members).all()


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_a_balanced_step_asked_for_alone_equals_the_stream(batch: int) -> None:
    stream = balanced(batch)
    streamed = [stream.indices(step) for step in range(12)]
    for step in (11, 0, 7, 3):
        assert all(map(torch.equal, balanced(batch).indices(step), streamed[step]))
        assert all(map(torch.equal, stream.indices(step), streamed[step]))


def test_the_seed_decides_the_balanced_order_and_the_target_is_not_balanced() -> None:
    source, target = balanced(12).indices(0)
    assert not torch.equal(source, balanced(12, seed=1).indices(0)[0])
    assert torch.equal(target, UnpairedSampler(24, 7, 12, seed=0).indices(0)[1])
    # Neither the classes nor the samples of a class come in a fixed order.
    stream = balanced(30).indices(0)[0]
    orders = {tuple(LABELS[stream[start : start + 3]].tolist()) for start in range(0, 30, 3)}
    assert len(orders) > 1
    frequent = stream[LABELS[stream] == 2].tolist()
    assert frequent != sorted(frequent)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_ranks_shares_make_up_the_batch(world: int) -> None:
    batch = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat([shard(batch, rank, world) for rank in range(world)]), batch)


def test_a_batch_that_the_ranks_cannot_share_evenly_is_refused() -> None:
    with pytest.raises(ValueError, match="batch of 8 cannot be shared by 3"):
        shard(torch.arange(8), 0, 3)


def test_labelled_target_samples_are_a_stream_of_their_own() -> None:
    sampler = UnpairedSampler(7, 5, 4, seed=0, labelled_size=3)
    drawn = torch.cat([sampler.labelled_indices(step) for step in range(3)])
    assert torch.bincount(drawn).tolist() == [4, 4, 4]
    assert torch.equal(sampler.labelled_indices(1), drawn[4:8])
    source, target = UnpairedSampler(7, 5, 4, seed=0).indices(2)
    assert torch.equal(source, sampler.indices(2)[0])
    assert torch.equal(target, sampler.indices(2)[1])
