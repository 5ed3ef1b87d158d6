from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from adaptune.training.weights_file import read_weights, write_weights


def make_weights() -> dict[str, torch.Tensor]:
    return dict(nn.Linear(2, 3).state_dict())


def test_weights_survive_a_file(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "weights.safetensors"
    weights = make_weights()
    write_weights(file, weights)
    read = read_weights(file, nn.Linear(2, 3))
    torch.testing.assert_close(read, weights, rtol=0, atol=0)
    assert list(file.parent.iterdir()) == [file]


def test_a_missing_file_is_no_reason_to_warn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_weights(tmp_path / "weights.safetensors", nn.Linear(2, 3)) is None
    assert caplog.text == ""


@pytest.mark.parametrize("length", [0, 4, 40])
def test_a_damaged_file_is_not_used(
    length: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "weights.safetensors"
    write_weights(file, make_weights())
    file.write_bytes(file.read_bytes()[:length])
    assert read_weights(file, nn.Linear(2, 3)) is None
    assert "weights.safetensors cannot be read" in caplog.text


@pytest.mark.parametrize("network", [nn.Linear(3, 3), nn.Linear(2, 3, bias=False), nn.ReLU()])
def test_weights_of_another_network_are_not_used(
    network: nn.Module, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "weights.safetensors"
    write_weights(file, make_weights())
    assert read_weights(file, network) is None
    assert "another network" in caplog.text
