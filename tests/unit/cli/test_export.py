"""`export` on a search that was killed, and the commands that use an export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.calibrations import make_calibration

from adaptune.results.folder import ResultsFolder
from adaptune.workflows.export import TrialExport

Run = Callable[..., Any]
Refuse = Callable[..., str]


@pytest.fixture
def exported(run: Run, killed: ResultsFolder, tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    assert run("export", killed.path, "--to", folder).status == 0
    return folder


def test_export_has_target_val_figures_only(run: Run, killed: ResultsFolder) -> None:
    status, out, _ = run("export", killed.path)
    folder = killed.path / "exports" / "0"
    assert status == 0
    assert out == (
        f"trial 0, epoch 2, exported to {folder}\n"
        "its probabilities are not calibrated: too few images of source_val resemble those of the"
        " target\n"
    )
    assert json.loads((folder / "metrics.json").read_text()) == {
        "trial": 0,
        "epoch": 2,
        "target_val_accuracy": 0.75,
        "target_val_loss": 1.0,
        "target_val_metrics": {"accuracy": 0.75},
    }
    assert json.loads((folder / "config.json").read_text())["class_names"] == ["cat", "dog"]


def test_export_writes_the_formats_that_it_is_asked_for(
    run: Run, refusal: Refuse, killed: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        "adaptune.workflows.export.export_trial",
        lambda *arguments: asked.append(arguments[-1]) or TrialExport("trial 0", Path("to")),
    )
    run("export", killed.path)
    run("export", killed.path, "--format", "safetensors")
    run("export", killed.path, "--format", "pt2", "--format", "onnx")
    assert asked == [[], [], ["onnx", "pt2"]]
    assert "'tflite'" in refusal("export", killed.path, "--format", "tflite")


def test_export_of_a_trial_that_cannot_be_exported(
    run: Run, refusal: Refuse, killed: ResultsFolder
) -> None:
    error = refusal("export", killed.path, "--trial", 7)
    assert "there is no trial 7; there are 0, 1, 2" in error
    error = refusal("export", killed.path, "--trial", 1)
    assert "trial 1 has not finished an epoch" in error
    status, _, error = run("export", killed.path, "--trial", 2)
    assert status == 1
    assert "cannot read checkpoint" in error
    assert "Traceback" not in error


def test_predict_prints_path_class_and_probability(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    cats = tmp_path / "target" / "cat"
    dog = tmp_path / "target" / "dog" / "0.png"
    status, out, _ = run("predict", exported, cats, dog)
    lines = [line.split("\t") for line in out.splitlines()]
    assert status == 0
    assert len(lines) == 9
    assert lines[8][0] == str(dog)
    for _, name, probability, *calibration in lines:
        assert calibration == ["", ""]
        assert name in ("cat", "dog")
        assert 0.5 <= float(probability) <= 1


def test_a_line_of_predict_has_five_columns_whatever_the_path(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    content = (tmp_path / "target" / "dog" / "0.png").read_bytes()
    folder = tmp_path / "odd"
    folder.mkdir()
    names = ["a\tb.png", "a\nb.png", "\x1b[2J.png", "c\\d.png", "\udcff.png", "犬.png"]
    for name in names:
        (folder / name).write_bytes(content)
    status, out, _ = run("predict", exported, folder)
    paths = {line.split("\t")[0] for line in out.splitlines()}
    assert status == 0
    assert [line.count("\t") for line in out.splitlines()] == [4] * len(names)
    shown = [r"a\tb.png", r"a\nb.png", r"\x1b[2J.png", r"c\\d.png", r"\udcff.png", "犬.png"]
    assert paths == {f"{folder}/{name}" for name in shown}


def test_translate_prints_control_characters_as_escapes(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    content = (tmp_path / "target" / "dog" / "0.png").read_bytes()
    (tmp_path / "a\x1b[2J\nb.png").write_bytes(content)
    image = tmp_path / "a\x1b[2J\nb.png"
    status, out, _ = run("translate", exported, image, "--to", tmp_path / "to")
    assert status == 0
    assert out == f"{tmp_path / 'to'}/a\\x1b[2J\\nb.png\n"


def test_predict_goes_past_bad_images_and_ends_with_status_1(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "target" / "cat"
    (folder / "3-bad.png").write_bytes(b"no image")
    (folder / "\x1b[31m.png").write_bytes(b"no image")
    status, out, error = run("predict", exported, folder)
    lines = error.splitlines()
    assert status == 1
    assert len(out.splitlines()) == 8
    assert rf"adaptune: {folder}/\x1b[31m.png cannot be read as an image of" in lines[0]
    assert f"adaptune: {folder}/3-bad.png cannot be read as an image of" in lines[1]
    assert lines[2:] == ["adaptune: 2 of 10 images were not classified"]


def test_predict_and_translate_refuse_missing_images_and_exports(
    refusal: Refuse, exported: Path, tmp_path: Path
) -> None:
    assert "there is no image or folder nowhere.png" in refusal("predict", exported, "nowhere.png")
    to = ("--to", tmp_path / "to")
    assert "there is no image" in refusal("translate", exported, "nowhere.png", *to)
    assert "is not an export" in refusal("predict", tmp_path, tmp_path / "source")


def test_predict_prints_calibrated_probabilities_and_where_to_abstain(
    run: Run, killed: ResultsFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibration = make_calibration(temperature=0.5, threshold=1.0)
    monkeypatch.setattr("adaptune.workflows.export.calibrate_weights", lambda *_: calibration)
    out = run("export", killed.path, "--to", tmp_path / "export").out
    assert out.count("\n") == 1
    out = run("predict", tmp_path / "export", tmp_path / "target" / "cat" / "0.png").out
    _, _, probability, calibrated, accepted = out.rstrip("\n").split("\t")
    assert 0.5 < float(probability) < float(calibrated) < 1
    assert accepted == "no"


@pytest.mark.parametrize("table_format", ["tsv", "csv", "json"])
def test_predict_prints_the_table_that_it_writes(
    run: Run, exported: Path, tmp_path: Path, table_format: str
) -> None:
    cats = tmp_path / "target" / "cat"
    arguments = ("predict", exported, cats, "--format", table_format)
    printed = run(*arguments)
    written = run(*arguments, "--to", tmp_path / "table")
    assert (printed.status, written.status) == (0, 0)
    assert written.out == written.err == ""
    assert (tmp_path / "table").read_text().splitlines() == printed.out.splitlines()


def test_predict_writes_parquet_to_a_file_only(
    run: Run, refusal: Refuse, exported: Path, tmp_path: Path
) -> None:
    arguments = ("predict", exported, tmp_path / "target", "--format", "parquet")
    assert "this format is binary: name a file with --to" in refusal(*arguments)
    assert run(*arguments, "--to", tmp_path / "table.parquet").status == 0
    assert pq.read_table(tmp_path / "table.parquet").num_rows == 16
    assert "cannot write" in refusal(*arguments, "--to", tmp_path / "absent" / "table")


def test_translate_writes_one_png_per_image(
    run: Run, refusal: Refuse, exported: Path, tmp_path: Path
) -> None:
    images = tmp_path / "source" / "cat"
    to_target = tmp_path / "to-target"
    to_source = tmp_path / "to-source"
    status, out, _ = run("translate", exported, images, "--to", to_target)
    assert status == 0
    assert out.splitlines() == [str(to_target / f"{index}.png") for index in range(8)]
    with Image.open(to_target / "0.png") as image:
        assert image.size == (16, 16)
    direction = ("--direction", "target_to_source")
    assert run("translate", exported, images, "--to", to_source, *direction).status == 0
    assert (to_source / "0.png").read_bytes() != (to_target / "0.png").read_bytes()
    error = refusal("translate", exported, images, "--to", to_target, "--direction", "sideways")
    assert "'sideways'" in error


def test_translate_keeps_class_folders_and_the_size_of_large_images(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (50, 37)).save(tmp_path / "source" / "cat" / "0.png")
    (tmp_path / "source" / "dog" / "bad.png").write_bytes(b"no image")
    to, sheets = tmp_path / "to", tmp_path / "sheets"
    arguments = ("translate", exported, tmp_path / "source", "--to", to)
    status, out, error = run(*arguments, "--contact-sheets", sheets)
    assert status == 1
    assert len(out.splitlines()) == 16
    assert error.endswith("adaptune: 1 of 17 images were not translated\n")
    with Image.open(to / "cat" / "0.png") as image:
        assert image.size == (50, 37)
    assert (to / "dog" / "7.png").exists()
    assert len(list(sheets.iterdir())) == 1
    run(*arguments, "--resize")
    with Image.open(to / "cat" / "0.png") as image:
        assert image.size == (16, 16)


def test_evaluate_scores_a_labelled_domain(
    run: Run, refusal: Refuse, exported: Path, tmp_path: Path
) -> None:
    status, out, _ = run("evaluate", exported, "--data", f"imagefolder:{tmp_path / 'target'}")
    assert status == 0
    assert " of 16 images (" in out
    for metric in ("mean recall", "macro F1", "AUROC"):  # two classes have an AUROC
        assert f"\n{metric}: " in out
    recalls = [line.split() for line in out.splitlines() if line.startswith("  ")]
    assert [name for name, _ in recalls] == ["cat", "dog"]
    assert "The model was trained on this domain" in out
    assert "These images include the held-out test set." in out
    assert "there is no domain 'mars'" in refusal("evaluate", exported, "--data", "mars")


def test_evaluate_of_the_source_does_not_warn_of_the_test(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    out = run("evaluate", exported, "--data", f"imagefolder:{tmp_path / 'source'}").out
    assert "The model was trained on this domain" in out
    assert "held-out test set" not in out


def test_evaluate_accepts_a_domain_that_lacks_a_class(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "target" / "dog").rename(tmp_path / "dogs")
    status, out, _ = run("evaluate", exported, "--data", f"imagefolder:{tmp_path / 'target'}/.")
    assert status == 0
    assert "  dog              no image\n" in out
    assert "These images include the held-out test set." in out
