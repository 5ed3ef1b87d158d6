from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adaptune.data.transfer import FixedValues, pack, to_device, to_device_at_once, unpack


class Changes(NamedTuple):
    maps: Tensor
    boxes: Tensor | None
    radius: int


def test_values_of_the_cpu_are_not_copied_to_the_cpu() -> None:
    values = torch.arange(3)
    assert to_device(values, torch.device("cpu")) is values
    assert to_device_at_once((values, 5), torch.device("cpu"))[0] is values


def test_packed_values_of_all_types_come_back_in_their_tuples() -> None:
    changes = Changes(torch.rand(3, 2, 3), None, 7)
    flags = torch.tensor([True, False, True])
    places = torch.randperm(5)
    values = (places, (changes, flags), None, torch.rand(4, 6).T, torch.empty(0, 3))
    packed = pack(values)
    assert packed.dtype == torch.uint8
    copies = unpack(packed, values)
    assert torch.equal(copies[0], places)
    assert isinstance(copies[1][0], Changes)
    assert torch.equal(copies[1][0].maps, changes.maps)
    assert (copies[1][0].boxes, copies[1][0].radius) == (None, 7)
    assert torch.equal(copies[1][1], flags)
    assert copies[2] is None
    assert torch.equal(copies[3], values[3])
    assert copies[4].shape == (0, 3)
    packed.zero_()  # they are views
    assert not copies[0].any()


def test_nothing_can_be_packed() -> None:
    assert unpack(pack((None, 3)), (None, 3)) == (None, 3)


def test_fixed_values_are_replaced_where_they_are() -> None:
    def values(seed: int) -> tuple[Changes, Tensor]:
        rng = torch.Generator().manual_seed(seed)
        return Changes(torch.rand(3, 2, generator=rng), None, 7), torch.randperm(5, generator=rng)

    fixed = FixedValues(values(0), torch.device("cpu"))
    changes, places = fixed.values
    addresses = changes.maps.data_ptr(), places.data_ptr()
    for seed in (0, 1):
        fixed.replace(values(seed))
        assert torch.equal(changes.maps, values(seed)[0].maps)
        assert torch.equal(places, values(seed)[1])
    assert (changes.boxes, changes.radius) == (None, 7)
    assert (fixed.values[0].maps.data_ptr(), fixed.values[1].data_ptr()) == addresses


def test_fixed_values_fit_if_only_the_contents_of_tensors_differ() -> None:
    first = (Changes(torch.zeros(3, 2), None, 7), torch.arange(5))
    fixed = FixedValues(first, torch.device("cpu"))
    assert fixed.fits((Changes(torch.ones(3, 2), None, 7), torch.zeros(5, dtype=torch.int64)))
    assert not fixed.fits((Changes(torch.ones(3, 2), None, 8), torch.arange(5)))
    assert not fixed.fits((Changes(torch.ones(3, 3), None, 7), torch.arange(5)))
    assert not fixed.fits((Changes(torch.ones(3, 2), torch.ones(1), 7), torch.arange(5)))
    assert not fixed.fits((Changes(torch.ones(3, 2), None, 7), torch.arange(5.0)))
