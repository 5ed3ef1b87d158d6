from __future__ import annotations

import torch

from adaptune.data.transfer import to_device


def test_values_that_are_on_their_device_are_not_copied() -> None:
    values = torch.arange(3)
    assert to_device(values, torch.device("cpu")) is values
