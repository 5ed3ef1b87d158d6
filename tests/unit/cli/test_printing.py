from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.fake_run import printed

from adaptune.cli.printing import (
    open_output,
    print_lines,
    print_replication,
    print_table,
    stdout_console,
)
from adaptune.report.table import Table
from adaptune.report.tables import ReplicationTable


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_output_for_a_terminal_has_control_characters_as_escape_sequences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with open_output(None, is_binary=False) as file:
        file.write(b"a,\x1b[2J\n\xff\n")
        file.flush()
    assert terminal.getvalue() == "a,\\x1b[2J\n\\udcff\n"


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    with open_output(tmp_path / "file", is_binary=True) as file:
        file.write(b"\x00")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"\x00"


def test_no_file_is_left_after_an_error(tmp_path: Path) -> None:
    def interrupt() -> None:
        with open_output(tmp_path / "file", is_binary=False) as file:
            file.write(b"a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=60, highlight=False)


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip(" ─")]


def test_a_table_has_a_header_and_rows(console: Console) -> None:
    print_table(console, Table(("trial", "state"), [("0", "complete"), ("1", "failed")]))
    assert cells(printed(console)) == [["trial", "state"], ["0", "complete"], ["1", "failed"]]


def test_nothing_is_printed_without_rows(console: Console) -> None:
    print_table(console, Table(("trial", "state"), []))
    print_replication(console, "confirm", ReplicationTable(Table(("configuration",), []), []))
    assert printed(console) == ""


def test_a_long_conclusion_is_not_wrapped(console: Console) -> None:
    table = Table(("configuration", "seeds"), [("full", "3")])
    conclusion = ["trial 3: helps, " + "against source only " * 5, "trial 3: hurts."]
    print_replication(console, "confirm", ReplicationTable(table, conclusion))
    lines = printed(console).splitlines()
    assert lines[0] == "confirm:"
    assert [line.rstrip() for line in lines[-2:]] == [line.rstrip() for line in conclusion]


def test_an_error_in_a_cell_keeps_its_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(stdout_console(), Table(("values",), [("step 3: [cycle] is nan",)]))
    assert "step 3: [cycle] is nan" in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 200])
def test_lines_of_a_terminal_are_as_long_as_it_is_wide(width: int) -> None:
    terminal = Console(file=StringIO(), width=width, force_terminal=True, highlight=False)
    rows = [(str(number), "loss term\ncycle is nan " * 20) for number in range(12)]
    print_lines(terminal, Table(("trial", "values"), rows))
    lines = printed(terminal).splitlines()
    assert [len(line) for line in lines[1:]] == [width] * 12
    assert all(line.endswith("…") for line in lines[1:])
    assert lines[0].split() == ["trial", "values"]


def test_lines_of_a_pipe_are_complete(console: Console) -> None:
    values = "cycle=1.15 " * 20
    print_lines(console, Table(("trial", "values"), [("0", values)]))
    assert printed(console).splitlines()[1] == f"0      {values.rstrip()}"
