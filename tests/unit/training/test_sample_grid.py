"""Pictures of the generators' work, and trials that leave the generators alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from support.tiny_trial import CPU, make_data, make_source_weights, make_spec

from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.loop import fit


def test_every_epoch_leaves_a_picture_of_five_rows(tmp_path: Path) -> None:
    spec = make_spec(epochs=2)
    folder = CheckpointFolder(str(tmp_path), keep=2)
    list(fit(spec, make_data(), make_source_weights(spec), device=CPU, checkpoints=folder))
    for epoch in (1, 2):
        with Image.open(tmp_path / f"epoch-000{epoch}.png") as picture:
            assert picture.height == 5 * (16 + 2) + 2


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_with_every_weight_but_task_at_zero_the_generators_stay_as_they_began(
    method: str, tmp_path: Path
) -> None:
    off = dict.fromkeys(
        ["adversarial", "cycle", "identity", "semantic", "feature", "information"], 0.0
    )
    spec = make_spec(method=method, epochs=2, loss_weights=off)
    folder = CheckpointFolder(str(tmp_path), keep=2)
    records = list(
        fit(spec, make_data(), make_source_weights(spec), device=CPU, checkpoints=folder)
    )
    assert [key for key in records[-1] if key.startswith("loss/")] == ["loss/task"]
    first, last = (
        folder.load(epoch)["state"]["networks"]["g_source_to_target"] for epoch in (1, 2)
    )
    assert all(torch.equal(first[key], last[key]) for key in first)
