"""Exports are complete, exact, and known to be whole."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptune.artifacts import load_export
from adaptune.artifacts.format import ALL, SUMS
from adaptune.errors import ResultsError
from adaptune.training.state import TrainingState

Write = Callable[..., Path]


def test_a_loaded_classifier_gives_the_same_logits_as_the_trained_one(
    best: Path, state: TrainingState
) -> None:
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        expected = state.networks.f_target.eval()(images)
        torch.testing.assert_close(load_export(best).classifier(images), expected)


@pytest.mark.parametrize("direction", ["source_to_target", "target_to_source"])
def test_moving_averages_are_exported_where_there_are_any(
    best: Path, state: TrainingState, direction: str
) -> None:
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    name = f"g_{direction}"
    with torch.no_grad():
        exported = load_export(best).generators[direction](images)
        torch.testing.assert_close(exported, state.averages[name](images))
        assert not torch.equal(exported, getattr(state.networks, name)(images))


def test_loaded_networks_are_in_eval_mode_and_leave_the_random_state_alone(best: Path) -> None:
    before = torch.get_rng_state()
    export = load_export(best)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(net.training for net in [export.classifier, *export.generators.values()])


def test_an_export_holds_its_files_and_nothing_else_beside_it(best: Path) -> None:
    assert {file.name for file in best.iterdir()} == set(ALL)
    assert [entry.name for entry in best.parent.iterdir()] == ["best"]


def test_sha256sum_confirms_a_fresh_export(best: Path) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=best, check=True, capture_output=True
    )


def test_the_config_says_all_that_loading_and_judging_need(best: Path) -> None:
    config = json.loads((best / "config.json").read_text())
    assert config["class_names"] == ["cat", "dog", "owl"]
    assert config["data"]["target"]["crop"] == 12
    assert (config["seed"], config["loss_weights"]["cycle"]) == (3, 10.0)


@pytest.mark.parametrize(
    "name", ["classifier.safetensors", "source_to_target.safetensors", "config.json"]
)
def test_a_damaged_file_is_named(best: Path, name: str) -> None:
    body = bytearray((best / name).read_bytes())
    body[len(body) // 2] ^= 1
    (best / name).write_bytes(body)
    with pytest.raises(ResultsError, match=f"{name} is damaged"):
        load_export(best)


def test_a_missing_file_is_named(best: Path) -> None:
    (best / "classifier.safetensors").unlink()
    with pytest.raises(ResultsError, match=r"classifier\.safetensors is missing"):
        load_export(best)


def test_a_file_that_the_sums_do_not_list_is_not_trusted(best: Path) -> None:
    lines = (best / SUMS).read_text().splitlines(keepends=True)
    (best / SUMS).write_text("".join(line for line in lines if "classifier" not in line))
    with pytest.raises(ResultsError, match=r"does not list classifier\.safetensors"):
        load_export(best)


def test_an_edited_model_card_does_not_stop_loading(best: Path) -> None:
    (best / "README.md").write_text("my own words")
    load_export(best)


def test_a_folder_that_is_no_export_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=f"{tmp_path} is not an export"):
        load_export(tmp_path)


def test_a_new_export_replaces_the_old_one_and_keeps_what_the_user_added(
    best: Path, write: Write
) -> None:
    (best / "notes.txt").write_text("mine")
    write(best, accuracy=0.75)
    assert json.loads((best / "metrics.json").read_text()) == {"accuracy": 0.75}
    assert (best / "notes.txt").read_text() == "mine"
    assert [entry.name for entry in best.parent.iterdir()] == ["best"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path, write: Write) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ResultsError, match="left alone"):
        write(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_an_export_killed_half_way_is_cleaned_up_by_the_next(best: Path, write: Write) -> None:
    (best / "notes.txt").write_text("mine")
    best.rename(best.with_name(".best.old"))  # killed between the two renames
    best.with_name(".best.part").mkdir()
    write(best)
    load_export(best)
    assert (best / "notes.txt").exists()
    assert [entry.name for entry in best.parent.iterdir()] == ["best"]


def test_a_failing_write_leaves_the_old_export(
    best: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    before = (best / SUMS).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(ResultsError, match="No space left"):
            write(best)
    assert (best / SUMS).read_bytes() == before
    assert os.listdir(best.parent) == ["best"]


def test_metrics_of_numpy_and_non_finite_ones_are_written_as_json(
    tmp_path: Path, write: Write
) -> None:
    best = write(tmp_path / "best", n=np.int64(3), gap=math.nan, ci95=(np.float64(0.5), 1.0))
    assert json.loads((best / "metrics.json").read_text()) == {
        "n": 3,
        "gap": None,
        "ci95": [0.5, 1.0],
    }


def test_the_model_card_gives_verdict_metrics_and_loss_weights(
    tmp_path: Path, write: Write
) -> None:
    best = write(
        tmp_path / "best", verdict="Adaptation did not help.", gap_closed=None, accuracy=0.51239
    )
    card = (best / "README.md").read_text()
    for line in (
        "Adaptation did not help.",
        "| gap_closed | not known |",
        "| accuracy | 0.5124 |",
        "| cycle | 10 |",
    ):
        assert line in card.splitlines()


def test_the_python_of_the_model_card_runs_and_needs_neither_ray_nor_optuna(
    best: Path, image: Callable[..., Path]
) -> None:
    image(best.parent / "images" / "a.png")
    code = (best / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    code += "import sys; assert 'ray' not in sys.modules and 'optuna' not in sys.modules"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=best.parent, check=True, capture_output=True, text=True
    )
    assert run.stdout.startswith("images/a.png ")


def test_a_later_format_is_refused_with_its_version(
    best: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptune.artifacts.load.FORMAT", 0)
    with pytest.raises(ResultsError, match="format 1 of adaptune"):
        load_export(best)
