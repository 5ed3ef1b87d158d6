"""An export works on another machine, without Ray, Optuna and the data of its search."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ABSENT = ("ray", "optuna", "onnx", "onnxruntime", "onnxscript", "tensorboardX", "timm")
COMMAND = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT!r}))  # an import of these fails
from adaptune.cli.app import main
main()
"""


@pytest.fixture
def moved(portable: Path, image: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder with nothing but an export and some labelled images."""
    shutil.copytree(portable, tmp_path / "model")
    for seed, name in enumerate(("cat/a.png", "dog/b.png")):
        image(tmp_path / "images" / name, seed, edge=40)
    return tmp_path


def run(folder: Path, *arguments: str) -> list[str]:
    command = [sys.executable, "-c", COMMAND, *arguments]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


@pytest.mark.slow
def test_predict(moved: Path) -> None:
    lines = run(moved, "predict", "model", "images")
    assert [line.split("\t")[0] for line in lines] == ["images/cat/a.png", "images/dog/b.png"]


@pytest.mark.slow
def test_translate(moved: Path) -> None:
    lines = run(moved, "translate", "model", "images", "--to", "out", "--contact-sheets", "sheets")
    assert lines == ["out/cat/a.png", "out/dog/b.png"]
    assert (moved / "sheets" / "contact-sheet-0001.png").exists()


@pytest.mark.slow
def test_evaluate(moved: Path) -> None:
    lines = run(moved, "evaluate", "model", "--data", "imagefolder:images")
    assert " of 2 images " in lines[0]
