from __future__ import annotations

import pytest
import torch

from adaptune.data.sampling import UnpairedSampler, shard


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


@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_ranks_shares_make_up_the_batch(world: int) -> None:
    batch = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat([shard(batch, rank, world) for rank in range(world)]), batch)


def test_a_batch_that_the_ranks_cannot_share_evenly_is_refused() -> None:
    with pytest.raises(ValueError, match="batch of 8 cannot be shared by 3"):
        shard(torch.arange(8), 0, 3)
