from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adaptune.cluster.doctor import Finding
from adaptune.errors import ResourceError
from adaptune.workflows import doctor as workflow

Run = Callable[..., Any]


@pytest.fixture
def node_findings(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """Findings on the nodes of the cluster."""
    findings = [Finding("ok", "node a: 4 CPUs, 0 GPUs")]

    @contextmanager
    def connect(address: str | None, name: str, *, requests_nodes: bool) -> Iterator[str]:
        if address == "nowhere":
            raise ResourceError("no Ray cluster answers at nowhere")
        yield ""

    monkeypatch.setattr(workflow, "connect", connect)
    monkeypatch.setattr(workflow, "check_nodes", lambda folder, selector: iter(findings))
    return findings


def test_a_sound_cluster_is_shown(run: Run, node_findings: list[Finding], tmp_path: Path) -> None:
    status, out, _ = run("doctor", "--out", tmp_path / "to" / "be" / "made")
    assert status == 0
    assert "ok       node a: 4 CPUs, 0 GPUs\n" in out
    assert not list(tmp_path.iterdir())


def test_a_fault_is_shown_and_ends_with_1(
    run: Run, node_findings: list[Finding], tmp_path: Path
) -> None:
    node_findings.append(Finding("fault", "node b cannot write to [results]"))
    status, out, _ = run("doctor", "--out", tmp_path)
    assert status == 1
    assert out.splitlines()[-1] == "fault    node b cannot write to [results]"


def test_a_warning_ends_with_0(run: Run, node_findings: list[Finding], tmp_path: Path) -> None:
    node_findings.append(Finding("warning", "node b has torch 2.5, this machine has 2.6"))
    status, out, _ = run("doctor", "--out", tmp_path)
    assert status == 0
    assert out.splitlines()[-1] == "warning  node b has torch 2.5, this machine has 2.6"


def test_a_cluster_that_does_not_answer_is_a_fault(
    run: Run, node_findings: list[Finding], tmp_path: Path
) -> None:
    status, out, _ = run("doctor", "--address", "nowhere", "--out", tmp_path)
    assert status == 1
    assert out.splitlines()[-1] == "fault    no Ray cluster answers at nowhere"
