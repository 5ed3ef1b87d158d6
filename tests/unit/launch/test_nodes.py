"""The command line of a local cluster, without starting nodes. The chaos tests start real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cluster.check import FOLDER


def run_nodes(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = FOLDER / "local" / "nodes.py"
    command = [sys.executable, str(script), "--folder", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_folder_without_a_cluster_is_refused(tmp_path: Path) -> None:
    process = run_nodes(tmp_path, "down")
    assert process.returncode == 2
    assert process.stderr == f"nodes: {tmp_path} contains no cluster that you started\n"
    assert tmp_path.exists()


def test_a_second_cluster_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    process = run_nodes(tmp_path, "up")
    assert process.returncode == 2
    assert f"{tmp_path} already exists" in process.stderr


def test_killing_an_unknown_node_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ports").write_text("6399 8275")
    process = run_nodes(tmp_path, "kill", "worker-9")
    assert process.returncode == 2
    assert process.stderr == f"nodes: there is no node worker-9 in {tmp_path}\n"


def test_down_removes_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "nodes"
    folder.mkdir()
    (folder / "ports").write_text("6399 8275")
    assert run_nodes(folder, "down").returncode == 0
    assert not folder.exists()
