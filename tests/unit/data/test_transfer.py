from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adaptune.data.transfer import pack, to_device, to_device_at_once, unpack


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
