from __future__ import annotations

import pytest
import torch

from adaptune.data.residency import fits_on_device

GPU = torch.device("cuda")
GB = 10**9


@pytest.fixture(autouse=True)
def free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (8 * GB, 16 * GB))


@pytest.mark.parametrize(("share", "limit_in_bytes"), [(1.0, 2 * GB), (0.25, GB // 2)])
def test_a_quarter_of_the_free_memory_is_shared_by_the_workers_of_a_device(
    share: float, limit_in_bytes: int
) -> None:
    assert fits_on_device(limit_in_bytes, GPU, None, share)
    assert not fits_on_device(limit_in_bytes + 1, GPU, None, share)


def test_a_limit_of_the_spec_comes_first() -> None:
    assert fits_on_device(3 * GB, GPU, 3.0)
    assert not fits_on_device(1, GPU, 0.0)


def test_on_the_cpu_images_stay_where_they_are() -> None:
    assert not fits_on_device(1, torch.device("cpu"), 100.0)
