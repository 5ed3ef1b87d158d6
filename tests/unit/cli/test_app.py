from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adaptune import errors
from adaptune.cli import app
from adaptune.cli.app import COMMANDS, exit_status, name_of
from adaptune.errors import AdaptuneError, InterruptedSearchError
from adaptune.signals import STOP_SIGNALS

BAD_INPUT_STATUS = {"SpecError": 2, "DataError": 2, "ResourceError": 2, "ResultsError": 2}
MODULES = ("ray", "ray.tune", "torch", "optuna", "matplotlib", "scipy")
SCRIPT = f"""
import json, sys
from adaptune.cli.app import main
try:
    main()
finally:
    loaded = [name for name in {MODULES!r} if name in sys.modules]
    print("loaded: " + json.dumps(loaded), file=sys.stderr)
"""
MAIN = "from adaptune.cli.app import main; main()"
INTERRUPTED = """
import os
from adaptune.cli import app
import MODULE as module

function = module.FUNCTION

def interrupt(*arguments):
    os.kill(os.getpid(), NUMBER)
    return function(*arguments)

module.FUNCTION = interrupt
app.main()
"""
# Other code drops the request to stop, and fails because the signal ended processes of its own.
DROPPED = """
import os, signal
import click, typer
from adaptune.cli import app
from adaptune.errors import DataError
import adaptune.data.registry as registry

def fail(*arguments):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        raise ERROR

PATCH
app.main()
"""
# A function that each command calls before it prints anything.
INTERRUPTED_FUNCTIONS = {
    "search": ("adaptune.workflows.search", "open_splits"),
    "datasets": ("adaptune.data.registry", "describe"),
}


def error_classes() -> list[type[AdaptuneError]]:
    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    return [cls for cls in classes if issubclass(cls, AdaptuneError)]


@pytest.mark.parametrize("error_class", error_classes())
def test_the_exit_status_tells_wrong_input_from_a_failed_search(
    error_class: type[AdaptuneError],
) -> None:
    status = exit_status(error_class("message"))
    if error_class is InterruptedSearchError:
        assert status == 130
    else:
        names = {cls.__name__ for cls in error_class.__mro__}
        statuses = {BAD_INPUT_STATUS[name] for name in names & set(BAD_INPUT_STATUS)}
        assert {status} == (statuses or {1})


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_exit_status_after_a_signal_is_128_and_its_number(
    number: signal.Signals, status: int
) -> None:
    assert exit_status(InterruptedSearchError("stopped", number)) == status


def test_an_error_is_one_message_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise InterruptedSearchError("stopped; everything is kept in results")

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit) as exit_info:
        app.main()
    assert exit_info.value.code == 130
    assert capsys.readouterr() == ("", "\nadaptune: stopped; everything is kept in results\n")


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("search", "stopped before training began; nothing was written: run the"),
        ("datasets", "stopped"),
    ],
)
def test_a_signal_ends_a_command_with_its_status(
    space: Path, number: signal.Signals, command: str, message: str
) -> None:
    arguments = ["--space", str(space)] if command == "search" else []
    process = run_interrupted(number, command, *arguments)
    assert process.returncode == 128 + number
    assert process.stderr.startswith(f"\nadaptune: {message}")
    assert "Traceback" not in process.stderr
    assert not list(space.parent.glob("results/*"))


@pytest.mark.parametrize("patch", ["registry.describe = fail", "app.app = fail"])
@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError('the raylet is dead')",
        "OSError('connection reset')",
        "DataError('a worker process was killed')",
        "SystemExit(1)",
        "typer.Exit(1)",
        "click.Abort()",
        "KeyboardInterrupt()",
    ],
)
def test_an_error_that_follows_a_signal_does_not_change_the_exit_status(
    error: str, patch: str
) -> None:
    script = DROPPED.replace("ERROR", error).replace("PATCH", patch)
    command = [sys.executable, "-c", script, "datasets"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 128 + signal.SIGTERM
    assert process.stderr.endswith("\nadaptune: stopped\n")
    assert "Traceback" not in process.stderr


def test_a_command_that_ends_well_in_spite_of_a_signal_is_done() -> None:
    script = DROPPED.replace("raise ERROR", "return").replace("PATCH", "app.app = fail")
    command = [sys.executable, "-c", script, "datasets"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_signal_that_nohup_ignores_stays_ignored(space: Path) -> None:
    process = run_interrupted(signal.SIGHUP, "datasets", prefix="trap '' HUP;")
    assert process.returncode == 0
    assert "optdigits" in process.stdout


def run_interrupted(
    number: int, *arguments: str, prefix: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command that a signal hits when it loads its data or lists the domains."""
    module, function = INTERRUPTED_FUNCTIONS[arguments[0]]
    script = INTERRUPTED.replace("NUMBER", str(int(number)))
    script = script.replace("MODULE", module).replace("FUNCTION", function)
    command = ["sh", "-c", f'{prefix} exec "$@"', "sh", sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stream", ["1", "2"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_a_stream_is_no_traceback(stream: str) -> None:
    process = run_in_shell(f"adaptune datasets {stream}>/dev/full")
    assert "Traceback" not in process.stderr
    if stream == "1":
        assert process.returncode == 1
        message = "adaptune: cannot write to standard output: No space left on device\n"
        assert process.stderr == message
    else:
        assert process.returncode == 0


@pytest.mark.parametrize("command", ["datasets", "schema", "--help", "status KILLED"])
def test_a_reader_that_leaves_early_sees_no_traceback(killed: Any, command: str) -> None:
    command = command.replace("KILLED", str(killed.path))
    process = run_in_shell(f"(sleep 0.1; adaptune {command}) | true")
    assert (process.returncode, process.stderr) == (0, "")


def test_an_error_with_all_streams_closed_keeps_its_status() -> None:
    assert run_in_shell("adaptune search --space nowhere.yaml <&- >&- 2>&-").returncode == 2
    assert run_in_shell("adaptune search --space nowhere.yaml 2>/dev/full").returncode == 2


def run_in_shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `adaptune` is the command line of this checkout."""
    function = f'adaptune() {{ "{sys.executable}" -c "{MAIN}" "$@"; }}'
    return subprocess.run(
        ["sh", "-c", f"{function}\n{command}"], capture_output=True, text=True, check=False
    )


def test_an_unknown_command_is_wrong_input(refusal: Callable[..., str]) -> None:
    assert "No such command 'serach'" in refusal("serach")


def test_every_command_explains_itself(run: Callable[..., Any]) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for command in COMMANDS:
        summary = (command.__doc__ or "").partition("\n")[0]
        assert name_of(command) in out
        assert summary.split()[0] in out
        help_text = run(name_of(command), "--help").out
        assert " ".join(summary.split()[:4]) in " ".join(help_text.split())


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("evaluation.yardsticks=false", "is now evaluation.baselines"),
        ("resources.fresh_workers=true", "is now resources.reuse_workers (inverted)"),
    ],
)
def test_old_keys_are_refused_with_the_new_name(
    refusal: Callable[..., str], space: Path, old: str, message: str
) -> None:
    assert message in refusal("search", "--space", space, "--set", old)


def loaded_modules(*arguments: object) -> tuple[int, list[str]]:
    """Exit status of `adaptune ARGUMENTS…`, and those of MODULES that it imported."""
    command = [sys.executable, "-c", SCRIPT, *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    modules: list[str] = json.loads(done.stderr.rpartition("loaded: ")[2])
    return done.returncode, modules


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["search", "--help"], 0),
        (["schema"], 0),
        (["search", "--space", "nowhere.yaml"], 2),
        (["search", "--space", "cycada.yaml", "--dry-run", "--set", "seed=soon"], 2),
    ],
)
def test_help_and_faults_of_a_spec_need_neither_ray_nor_torch(
    arguments: list[str], status: int
) -> None:
    assert loaded_modules(*arguments) == (status, [])


def test_the_status_of_a_search_needs_neither_ray_tune_nor_plots(killed: Any) -> None:
    status, modules = loaded_modules("status", killed.path)
    assert status == 0
    assert not {"ray.tune", "matplotlib"} & set(modules)
