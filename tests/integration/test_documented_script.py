"""The script of docs/python-api.md runs a search and prints its summary."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.documentation import PYTHON_API, code_blocks

from adaptune import load_export
from adaptune.evaluation.summary import Summary

pytestmark = pytest.mark.ray
TIMEOUT_S = 300


def test_the_documented_script_prints_the_summary_of_its_search(tmp_path: Path) -> None:
    (script,) = code_blocks(PYTHON_API.read_text(encoding="utf-8"), "python")
    # Without an address, the script starts Ray itself, as on a user's machine.
    environment = {name: text for name, text in os.environ.items() if name != "RAY_ADDRESS"}
    finished = subprocess.run(
        [sys.executable, "-c", script.text],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    _, brace, printed = finished.stdout.partition("\n{\n")
    summary = Summary.model_validate_json(brace + printed)
    assert (summary.name, summary.trials_total, summary.trials_failed) == ("first-script", 2, 0)
    folder = tmp_path / "results" / "first-script"
    assert (
        summary.model_dump_json(indent=2).strip() == (folder / "summary.json").read_text().strip()
    )
    assert len(load_export(folder / "best").class_names) == 10
