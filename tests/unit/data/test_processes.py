from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from adaptune.data.processes import in_processes


def place_of(part: int) -> tuple[int, int, int]:
    return part, os.getpid(), torch.get_num_threads()


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("two_threads")
def test_one_worker_is_this_process() -> None:
    places = list(in_processes(place_of, [1, 2], workers=1))
    assert places == [(1, os.getpid(), 2), (2, os.getpid(), 2)]


def test_several_workers_are_processes_of_one_thread() -> None:
    places = sorted(in_processes(place_of, [1, 2, 3], workers=2))
    assert [part for part, _, _ in places] == [1, 2, 3]
    assert all(pid != os.getpid() and threads == 1 for _, pid, threads in places)


def test_a_second_call_uses_the_same_processes() -> None:
    first = {pid for _, pid, _ in in_processes(place_of, range(8), workers=2)}
    second = {pid for _, pid, _ in in_processes(place_of, range(8), workers=2)}
    assert first & second


def test_an_error_of_a_process_is_raised() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(in_processes(int, ["1", "x"], workers=2))
