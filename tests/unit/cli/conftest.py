from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from support.fake_calibration import replace_calibration
from support.image_search import make_killed_search, write_space

from adaptune.cli import app
from adaptune.results.folder import ResultsFolder


class Output(NamedTuple):
    """Exit status and output of a command."""

    status: int
    out: str
    err: str


Run = Callable[..., Output]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `adaptune ARGUMENTS…` in this process, on a machine of 2 CPUs; Ray must not start."""
    import ray

    from adaptune.workflows import plan, search

    def refuse(**_: object) -> None:
        raise AssertionError("Ray would have been started")

    monkeypatch.setattr(ray, "init", refuse)
    for module in (plan, search):
        monkeypatch.setattr(module, "local_resources", lambda: {"CPU": 2.0, "GPU": 0.0})

    replace_calibration(monkeypatch)

    def run_command(*arguments: object) -> Output:
        texts = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["adaptune", *texts])
        with pytest.raises(SystemExit) as exit_info:
            app.main()
        code = exit_info.value.code
        status = code if isinstance(code, int) else int(code is not None)
        captured = capsys.readouterr()
        return Output(status, captured.out, captured.err)

    return run_command


@pytest.fixture
def refusal(run: Run) -> Callable[..., str]:
    """Runs a command that must refuse its input, and returns the message."""

    def message(*arguments: object) -> str:
        output = run(*arguments)
        assert output.status == 2
        assert "Traceback" not in output.err
        return output.err

    return message


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A search space file over two small image folders; its results go to tmp_path/results."""
    return write_space(tmp_path)


@pytest.fixture
def killed(space: Path) -> ResultsFolder:
    """Results of three trials: one complete, one failed, one interrupted."""
    return make_killed_search(space)
