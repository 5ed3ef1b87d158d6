"""No test is skipped in silence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.real_ray import ROOT

SKIPPED = """
import pytest

def test_first():
    pytest.skip("no root")

@pytest.mark.skipif(True, reason="no network")
def test_second(): ...

@pytest.mark.gpu
@pytest.mark.skipif(True, reason="no GPU")
def test_third(): ...

def test_fourth(): ...
"""
INI = "[pytest]\nmarkers =\n    gpu\n"


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "pytest.ini").write_text(INI)
    (folder / "test_skipped.py").write_text(SKIPPED)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_skipped_tests_are_counted(tmp_path: Path) -> None:
    process = run(tmp_path)
    assert process.returncode == pytest.ExitCode.OK
    assert "3 tests were skipped" in process.stdout


def test_with_no_skips_only_gpu_tests_may_be_skipped(tmp_path: Path) -> None:
    process = run(tmp_path, "--no-skips")
    assert process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed, 1 skipped, 1 error" in process.stdout
    assert "no root" in process.stdout
    assert "no network" in process.stdout
