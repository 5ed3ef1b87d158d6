"""The Python code of the model card runs, and needs no more than the card says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptune.artifacts import load_export, predict


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


@pytest.mark.parametrize(
    ("install", "absent"),
    [
        ("onnxruntime pillow", ("adaptune", "torch", "onnx", "onnxscript", "ray", "optuna")),
        ("torch pillow", ("adaptune", "onnx", "onnxscript", "onnxruntime", "ray", "optuna")),
    ],
)
def test_the_code_for_portable_files_needs_only_the_packages_that_it_names(
    portable: Path, image: Callable[..., Path], tmp_path: Path, install: str, absent: tuple[str]
) -> None:
    shutil.copytree(portable, tmp_path / "best")
    [expected] = predict(load_export(portable), image(tmp_path / "image.png", edge=30))
    card = (portable / "README.md").read_text().partition(f"With `pip install {install}`")[2]
    code = card.partition("```python\n")[2].partition("```")[0]
    code = f"import sys\nsys.modules.update(dict.fromkeys({absent!r}))\n{code}"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    class_name, probability = run.stdout.split()
    assert class_name == expected.class_name
    assert float(probability) == pytest.approx(expected.probability, abs=1e-4)
