"""The check of one node, on the node."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.fake_time import fake_time

from adaptune.cluster import node_probe
from adaptune.cluster.node_probe import PROBE_PREFIX, probe_node, versions
from adaptune.version import __version__


@pytest.mark.parametrize("built", [True, False])
def test_a_node_reports_whether_its_torch_supports_gpus(
    built: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    assert probe_node(None, check_torch=True).torch_supports_cuda is built
    assert probe_node(None, check_torch=False).torch_supports_cuda is None


def test_a_node_that_can_write_next_to_the_probe_file_has_no_error(tmp_path: Path) -> None:
    probe_file = tmp_path / f"{PROBE_PREFIX}1"
    probe_file.touch()
    assert probe_node(str(probe_file), check_torch=False).storage_error is None
    assert list(tmp_path.iterdir()) == [probe_file]


def test_a_node_that_need_not_see_the_results_checks_no_file() -> None:
    assert probe_node(None, check_torch=False).storage_error is None


def test_a_node_waits_for_a_file_that_a_shared_file_system_shows_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe_file = tmp_path / "probe"
    waits_s: list[float] = []

    def sleep(seconds: float) -> None:
        waits_s.append(seconds)
        probe_file.touch()

    fake_time(monkeypatch, node_probe, sleep=sleep)
    assert probe_node(str(probe_file), check_torch=False).storage_error is None
    assert waits_s == [node_probe.POLL_S]


def test_a_folder_that_stays_invisible_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_probe, "VISIBILITY_TIMEOUT_S", 0.0)
    probe = probe_node(str(tmp_path / "elsewhere"), check_torch=False)
    assert probe.storage_error == "No such file or directory"


def test_a_folder_that_is_not_writable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    probe_file = tmp_path / "probe"
    probe_file.touch()
    monkeypatch.setattr(node_probe, "VISIBILITY_TIMEOUT_S", 0.0)
    monkeypatch.setattr(node_probe.tempfile, "TemporaryFile", refuse)
    probe = probe_node(str(probe_file), check_torch=False)
    assert probe.storage_error == "Permission denied"


def test_versions_are_those_that_nodes_should_agree_on(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"torch": "2.9.0+cu128", "torchvision": "0.24.0", "ray": "2.60.0"}
    monkeypatch.setattr(node_probe, "version", installed.__getitem__)
    assert versions() == {
        "python": platform.python_version(),
        "adaptune": __version__,
        "torch": "2.9.0",  # without what it was built for
        "torchvision": "0.24.0",
        "ray": "2.60.0",
    }


def test_a_probe_imports_neither_torch_nor_ray() -> None:
    script = (
        "import sys, adaptune.cluster.node_probe as module\n"
        "module.probe_node(None, check_torch=False)\n"
        "print({'torch', 'ray'} & sys.modules.keys())"
    )
    output = subprocess.check_output([sys.executable, "-c", script], text=True, env=os.environ)
    assert output == "set()\n"
