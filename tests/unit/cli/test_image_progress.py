from __future__ import annotations

import sys
from io import StringIO

import pytest
import typer

from adaptune.cli.image_progress import ImageProgress
from adaptune.errors import DataError


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def go_through(total: int, *, prints_rows: bool) -> None:
    with ImageProgress("classified", total, prints_rows=prints_rows) as progress:
        assert list(progress.each(range(total))) == list(range(total))
    progress.exit_if_failed()


@pytest.mark.parametrize(
    ("out", "prints_rows", "has_bar"),
    [(Terminal(), False, True), (StringIO(), True, True), (Terminal(), True, False)],
)
def test_a_terminal_shows_a_bar_unless_rows_are_printed_to_it(
    monkeypatch: pytest.MonkeyPatch, out: StringIO, prints_rows: bool, has_bar: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", out)
    go_through(3, prints_rows=prints_rows)
    assert ("images classified" in terminal.getvalue()) is has_bar
    assert ("3/3" in terminal.getvalue()) is has_bar
    assert out.getvalue() == ""


def test_nothing_is_printed_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    go_through(3, prints_rows=False)
    assert capsys.readouterr() == ("", "")


def test_failed_images_are_printed_in_one_line_and_end_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ImageProgress("translated", 2, prints_rows=True) as progress:
        progress.report(DataError("a\x1b[31m[bold] " + 200 * "long" + " cannot be read"))
    with pytest.raises(typer.Exit) as exit_info:
        progress.exit_if_failed()
    assert exit_info.value.exit_code == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r"adaptune: a\x1b[31m[bold] " + 200 * "long" + " cannot be read"
    assert lines[1:] == ["adaptune: 1 of 2 images were not translated"]
