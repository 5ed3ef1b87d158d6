from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adaptune.cluster.output import redirect_output

# Prints in all the ways in which Ray's processes and libraries print.
NOISY = """
import logging, os, sys
from pathlib import Path
from adaptune.cluster.output import redirect_output
with redirect_output(Path(sys.argv[1])) as console:
    print("print")
    os.system("echo child; echo child-error >&2")
    logging.warning("logging")
    os.write(2, b"descriptor\\n")
    console.print("console")
print("after")
print("after-error", file=sys.stderr)
"""


def test_all_output_goes_to_the_log_except_for_the_console(tmp_path: Path) -> None:
    log = tmp_path / "ray.log"
    log.write_text("of an earlier session\n")
    process = subprocess.run(
        [sys.executable, "-c", NOISY, log], capture_output=True, text=True, check=True
    )
    assert process.stdout == "console\nafter\n"
    assert process.stderr == "after-error\n"
    first, *lines = log.read_text().splitlines()
    assert first == "of an earlier session"
    assert sorted(lines) == ["WARNING:root:logging", "child", "child-error", "descriptor", "print"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_a_full_disk_refuses_is_dropped() -> None:
    script = (
        "from pathlib import Path\n"
        "from adaptune.cluster.output import redirect_output\n"
        "with redirect_output(Path('/dev/full')) as console:\n"
        "    print('lost')\n"
        "    console.print('console')\n"
        "print('after')"
    )
    # Unbuffered, Python would raise the error at the print.
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    output = subprocess.check_output([sys.executable, "-c", script], text=True, env=buffered)
    assert output == "console\nafter\n"


def test_a_console_in_a_notebook_prints_into_the_notebook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with redirect_output(tmp_path / "ray.log") as console:  # sys.stdout is capsys's
        console.print("console")
    assert capsys.readouterr().out == "console\n"


def test_a_long_line_of_the_console_is_not_wrapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "/a/long/path" * 30
    with redirect_output(tmp_path / "ray.log") as console:
        console.print(line)
    assert capsys.readouterr().out == f"{line}\n"


def test_brackets_in_a_message_are_printed_as_they_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = "[/tmp/gloo/pair.cc:561] closed by [rank0]: /data/[old]/results :warning:"
    with redirect_output(tmp_path / "log") as console:
        console.print(message, style="red")
    assert capfd.readouterr().out == f"{message}\n"


def run_redirected(statements: str, log: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run statements under `redirect_output` in a process of its own."""
    body = "\n".join(f"    {line}" for line in statements.splitlines())
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from adaptune.cluster.output import redirect_output\n"
        f"with redirect_output(Path(sys.argv[1])) as console:\n{body}\n"
    )
    return subprocess.run([sys.executable, "-c", script, log], text=True, check=False, **options)


TWICE = "console.print('lost')\nconsole.print('also lost')\nprint('trained on')"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_terminal_is_noted_once_and_ends_nothing(tmp_path: Path) -> None:
    log = tmp_path / "ray.log"
    with open("/dev/full", "w") as full:
        process = run_redirected(TWICE, log, stdout=full, stderr=subprocess.PIPE)
    assert (process.returncode, process.stderr) == (0, "")
    note = "adaptune: the terminal takes no output (No space left on device); it is dropped"
    assert sorted(log.read_text().splitlines()) == [note, "trained on"]


def test_a_pipe_whose_reader_has_gone_ends_nothing(tmp_path: Path) -> None:
    log = tmp_path / "ray.log"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = run_redirected(TWICE, log, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (process.returncode, process.stderr) == (0, "")
    assert "takes no output (Broken pipe)" in log.read_text()
    assert "trained on" in log.read_text()


def test_a_terminal_that_was_closed_ends_nothing(tmp_path: Path) -> None:
    log = tmp_path / "ray.log"
    controller, terminal = pty.openpty()
    os.close(controller)
    try:
        process = run_redirected(TWICE, log, stdout=terminal, stderr=terminal)
    finally:
        os.close(terminal)
    assert process.returncode == 0
    assert "takes no output (Input/output error)" in log.read_text()
    assert "trained on" in log.read_text()


def test_text_that_is_no_utf_8_is_printed_with_escapes(tmp_path: Path) -> None:
    process = run_redirected(
        "console.print(os.fsdecode(b'\\xff.png'))", tmp_path / "log", stdout=subprocess.PIPE
    )
    assert (process.returncode, process.stdout) == (0, "\\udcff.png\n")


def test_a_console_of_a_terminal_knows_it(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    process = run_redirected(
        "console.print(console.is_terminal)", tmp_path / "log", stdout=terminal
    )
    assert process.returncode == 0
    assert os.read(controller, 100) == b"True\r\n"
    os.close(terminal)
    os.close(controller)


def test_a_stream_that_was_closed_at_the_start_does_not_hit_another_file(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from adaptune.cluster.output import flush_or_drop, open_missing_streams\n"
        "open_missing_streams()\n"
        "file = open(sys.argv[1], 'w')\n"
        "print('lost')\n"
        "print('lost', file=sys.stderr)\n"
        "os.write(1, b'lost')\n"
        "assert flush_or_drop() is None\n"
        "file.write('kept')"
    )
    file = tmp_path / "file"
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", script, file]
    assert subprocess.run(command, check=False).returncode == 0
    assert file.read_text() == "kept"
