from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adaptune.cluster.doctor import Finding
from adaptune.errors import ResourceError
from adaptune.workflows import doctor
from adaptune.workflows.doctor import findings

MACHINE = Finding("ok", "2 CPUs; GPUs: none")
NODE = Finding("ok", "node a: 4 CPUs, 0 GPUs")


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Folders that were checked: first this machine's, then the one that the nodes must see."""
    checked: list[Any] = []

    @contextmanager
    def connect(address: str | None, name: str, *, requests_nodes: bool) -> Iterator[str]:
        assert not requests_nodes
        if address == "nowhere":
            raise ResourceError("no Ray cluster answers at nowhere")
        yield ""

    def check_machine(folder: Path) -> Iterator[Finding]:
        checked.append(folder)
        yield MACHINE

    def check_nodes(folder: Path | None, selector: object) -> Iterator[Finding]:
        checked.append(folder)
        yield NODE

    monkeypatch.setattr(doctor, "connect", connect)
    monkeypatch.setattr(doctor, "check_machine", check_machine)
    monkeypatch.setattr(doctor, "check_nodes", check_nodes)
    return checked


def all_findings(address: str | None, out: Path) -> list[Finding]:
    with findings(address, out) as (iterator, _):
        return list(iterator)


def test_this_machine_comes_before_the_nodes(folders: list[Any], tmp_path: Path) -> None:
    assert all_findings(None, tmp_path) == [MACHINE, NODE]
    assert folders == [tmp_path, tmp_path]


def test_the_nearest_folder_that_exists_is_checked(folders: list[Any], tmp_path: Path) -> None:
    all_findings(None, tmp_path / "to" / "be" / "made")
    assert folders == [tmp_path, tmp_path]
    assert list(tmp_path.iterdir()) == []


def test_nodes_are_not_asked_about_a_folder_that_is_not_writable(
    folders: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    all_findings(None, tmp_path)
    assert folders == [tmp_path, None]


def test_a_cluster_that_does_not_answer_is_a_fault(folders: list[Any], tmp_path: Path) -> None:
    assert all_findings("nowhere", tmp_path) == [
        MACHINE,
        Finding("fault", "no Ray cluster answers at nowhere"),
    ]


def test_findings_are_printed_to_standard_output(
    folders: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with findings(None, tmp_path) as (_, console):
        console.print("a finding")
    assert capsys.readouterr().out == "a finding\n"
