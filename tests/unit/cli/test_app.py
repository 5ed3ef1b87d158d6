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
from adaptune.cli.app import COMMANDS, exit_status
from adaptune.errors import AdaptuneError, InterruptedSearchError

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


def test_an_unknown_command_is_wrong_input(refusal: Callable[..., str]) -> None:
    assert "No such command 'serach'" in refusal("serach")


def test_every_command_explains_itself(run: Callable[..., Any]) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for command in COMMANDS:
        summary = (command.__doc__ or "").partition("\n")[0]
        assert command.__name__ in out
        assert summary.split()[0] in out
        help_text = run(command.__name__, "--help").out
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
