"""Trials are exported from the results folder, and portable files are checked on its data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest
from support.fake_run import save_checkpoint
from support.fake_search import make_record

from adaptune.artifacts import load_export
from adaptune.data.splits import load_splits
from adaptune.errors import CheckpointError, DataError, ResultsError
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import create_or_resume
from adaptune.results.splits_manifest import write_or_verify
from adaptune.spec import load_spec
from adaptune.study.inputs import record_inputs
from adaptune.study.storage import open_study
from adaptune.training import temperature
from adaptune.workflows.export import export_trial


def test_the_best_trial_is_exported_with_target_val_figures_only(killed: ResultsFolder) -> None:
    exported = export_trial(killed.path)
    folder = exported.folder
    assert (exported.checkpoint, folder) == ("trial 0, epoch 2", killed.path / "exports" / "0")
    assert json.loads((folder / "metrics.json").read_text()) == {
        "trial": 0,
        "epoch": 2,
        "target_val_accuracy": 0.75,
        "target_val_loss": 1.0,
        "target_val_metrics": {"accuracy": 0.75},
    }
    assert json.loads((folder / "config.json").read_text())["class_names"] == ["cat", "dog"]


def test_an_export_needs_no_data(killed: ResultsFolder, space: Path) -> None:
    shutil.rmtree(space.parent / "source")
    exported = export_trial(killed.path)
    config = json.loads((exported.folder / "config.json").read_text())
    assert config["class_names"] == ["cat", "dog"]
    assert config["calibration"] is None
    assert exported.uncalibrated is not None
    assert "source" in exported.uncalibrated


def test_the_classifier_is_calibrated_on_the_data_of_the_search(
    killed: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = export_trial(killed.path)
    assert exported.uncalibrated == "too few images of source_val resemble those of the target"
    monkeypatch.setattr(temperature, "MIN_EFFECTIVE_SAMPLES", 0.0)
    monkeypatch.setattr(temperature, "_FOLDS", 2)
    exported = export_trial(killed.path)
    calibration = load_export(exported.folder).config.calibration
    assert exported.uncalibrated is None
    assert calibration is not None
    assert calibration.samples == 2
    assert calibration.target_val_error is not None


def test_a_trial_is_exported_by_its_number_to_another_folder(
    killed: ResultsFolder, tmp_path: Path
) -> None:
    assert export_trial(killed.path, 0, tmp_path / "export").folder == tmp_path / "export"


def test_a_trial_of_a_group_is_exported_from_the_folder_of_the_first_one(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptune.workflows.export.calibrate_weights", lambda *_: None)
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    study = open_study(spec, folder.journal)
    inputs, _ = record_inputs(study, data="data", source_classifier="f_S", device="CPU", images=9)
    write_or_verify(load_splits(spec.data, spec.seed), folder)
    first, member = study.ask_group(2)
    record = make_record(1, 0.5)
    study.add_epoch(member, record, 0.5)
    study.tell_result(member, epochs=2, error=None, wall_s=1)
    values = member.params
    save_checkpoint(spec, folder, member.number, values, record, 0, inputs, leader=first.number)
    exported = export_trial(folder.path, member.number)
    assert exported.checkpoint == "trial 1, epoch 1"
    assert exported.folder == folder.path / "exports" / "1"
    assert json.loads((exported.folder / "metrics.json").read_text())["trial"] == 1


def test_a_trial_without_a_checkpoint_cannot_be_exported(killed: ResultsFolder) -> None:
    with pytest.raises(ResultsError, match=r"there is no trial 7; there are 0, 1, 2"):
        export_trial(killed.path, 7)
    with pytest.raises(ResultsError, match="trial 1 has not finished an epoch"):
        export_trial(killed.path, 1)
    with pytest.raises(CheckpointError, match="cannot read checkpoint"):
        export_trial(killed.path, 2)


def test_the_best_trial_needs_one_that_finished(space: Path) -> None:
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    open_study(spec, folder.journal)
    with pytest.raises(ResultsError, match="no trial has finished yet: name one with --trial"):
        export_trial(folder.path)
    with pytest.raises(ResultsError, match="there is no trial 0; there are none"):
        export_trial(folder.path, 0)


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no search"):
        export_trial(tmp_path)


def test_portable_files_are_compared_with_torch_on_images_of_the_search(
    killed: ResultsFolder,
) -> None:
    folder = export_trial(killed.path, formats=["onnx", "pt2"]).folder
    checks = json.loads((folder / "metrics.json").read_text())["portable_files"]
    networks = ("classifier", "source_to_target", "target_to_source")
    assert set(checks) == {f"{name}.{kind}" for name in networks for kind in ("onnx", "pt2")}
    for name, check in checks.items():
        assert check["images"] == 16  # batches of 1 and 7, in two sizes
        assert check["largest_difference"] <= (1e-4 if name.startswith("classifier") else 1)
    assert onnx.load(folder / "classifier.onnx").metadata_props
    assert load_export(folder).class_names == ("cat", "dog")


def test_portable_files_need_the_data_of_the_search(killed: ResultsFolder, space: Path) -> None:
    (space.parent / "source" / "cat" / "7.png").rename(space.parent / "source" / "dog" / "8.png")
    with pytest.raises(DataError, match="holds a search of other data"):
        export_trial(killed.path, formats=["onnx"])
    shutil.rmtree(space.parent / "source")
    with pytest.raises(
        DataError, match=r"images of the search: .*\n?.*, or export without --format"
    ):
        export_trial(killed.path, formats=["onnx"])
    assert not (killed.path / "exports").exists()
