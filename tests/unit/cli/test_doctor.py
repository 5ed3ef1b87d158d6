from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from adaptune.cluster import connection, doctor
from adaptune.cluster.doctor import Finding
from adaptune.errors import ResourceError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def found(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What is found on the nodes of the cluster."""
    findings = [Finding("ok", "node a: 4 CPUs, 0 GPUs")]

    @contextmanager
    def joined(address: str | None, name: str, *, asks: bool) -> Iterator[str]:
        if address == "nowhere":
            raise ResourceError("no Ray cluster answers at nowhere")
        yield ""

    @contextmanager
    def redirect_output(log: Path) -> Iterator[Console]:
        yield Console(width=300)

    monkeypatch.setattr(connection, "joined", joined)
    monkeypatch.setattr(
        connection, "redirect_output", redirect_output
    )  # whose console writes past pytest
    monkeypatch.setattr(doctor, "nodes", lambda folder, wish: iter(findings))
    return findings


def test_a_sound_cluster_is_shown(run: Run, found: list[Finding], tmp_path: Path) -> None:
    status, out, _ = run("doctor", "--out", tmp_path / "to" / "be" / "made")
    assert status == 0
    assert "ok       node a: 4 CPUs, 0 GPUs\n" in out
    assert not list(tmp_path.iterdir())


def test_a_fault_is_said_and_ends_with_1(run: Run, found: list[Finding], tmp_path: Path) -> None:
    found.append(Finding("fault", "node b does not see [results]"))
    status, out, _ = run("doctor", "--out", tmp_path)
    assert (status, out.splitlines()[-1]) == (1, "fault    node b does not see [results]")


def test_a_cluster_that_does_not_answer_is_a_fault(
    run: Run, found: list[Finding], tmp_path: Path
) -> None:
    status, out, _ = run("doctor", "--address", "nowhere", "--out", tmp_path)
    assert (status, out.splitlines()[-1]) == (1, "fault    no Ray cluster answers at nowhere")
