"""`adaptune search` refuses what cannot run, in plain words and without a traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fake_run import make_summary
from support.image_search import write_classes

from adaptune.cli.app import run_search_script
from adaptune.results.lifecycle import create_or_resume
from adaptune.spec import load_spec
from adaptune.spec.schema import SearchSpec
from adaptune.workflows import plan
from adaptune.workflows import search as workflow
from adaptune.workflows.search import SearchResult

Run = Callable[..., Any]
Refuse = Callable[..., str]


@pytest.fixture
def refused(refusal: Refuse, tmp_path: Path) -> Refuse:
    """Runs a search that must be refused without leaving anything."""

    def message(*arguments: object) -> str:
        text = refusal("search", *arguments)
        assert not list(tmp_path.glob("results/*"))
        return text

    return message


def test_a_missing_file(refused: Refuse) -> None:
    error = refused("--space", "nowhere.yaml")
    assert error.startswith("adaptune: no search space file nowhere.yaml; search_spaces/ has ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "space.yaml:1: not YAML"),
        ("- 1", "the top level must be a mapping"),
        (
            "name: a\ntrainin: {}\n",
            "space.yaml:2: trainin: unknown key `trainin`; did you mean `training`?",
        ),
    ],
)
def test_a_bad_file(refused: Refuse, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    assert message in refused("--space", file)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss_weights.cicle=1", "did you mean `cycle`?"),
        ("training.epochs=soon", "training.epochs = soon: must be a whole number"),
        ("training.epochs", "must have the form key.path=value"),
        ("training.epochs={search: int, low: 1, high: 9}", "early stopping needs the same budget"),
        ("data.target.domain=optdigit", "Did you mean 'optdigits'?"),
        ("data.target.domain=optdigits", "source and target must have the same classes"),
        ("data.target.domain=imagefolder:/nowhere", "there is no folder /nowhere"),
        ("resources.workers_per_trial=64", "64 worker(s) × 1 CPU = 64 CPU"),
        ("resources.workers_per_trial=3", "cannot be split evenly among 3 worker(s)"),
    ],
)
def test_a_bad_override(refused: Refuse, space: Path, override: str, message: str) -> None:
    assert message in refused("--space", space, "--set", override)


def test_bad_images(refused: Refuse, tmp_path: Path, space: Path) -> None:
    def error(folder: Path) -> str:
        return refused("--space", space, "--set", f"data.target.domain=imagefolder:{folder}")

    (tmp_path / "empty").mkdir()
    assert "there is no image in" in error(tmp_path / "empty")
    assert "class" in error(write_classes(tmp_path / "others", names=("cat", "owl")))
    assert "source and target are both" in error(tmp_path / "source")
    too_few = error(write_classes(tmp_path / "few", count=2))
    assert "target_test" in too_few
    broken = write_classes(tmp_path / "broken")
    (broken / "dog" / "3.png").write_bytes(b"no image")
    assert f"{broken}/dog/3.png cannot be read as an image" in error(broken)


def test_an_option_that_does_not_exist(refused: Refuse, space: Path) -> None:
    assert "No such option" in refused("--space", space, "--trails", 3)
    assert "--space" in refused()


def test_there_is_nothing_to_resume(refused: Refuse, space: Path) -> None:
    assert "nothing to resume" in refused("--space", space, "--resume")


def test_the_folder_of_a_search_is_left_alone(refusal: Refuse, space: Path) -> None:
    folder = create_or_resume(load_spec(space), resume=False)
    before = folder.spec.read_text()
    for arguments, message in (((), "add --resume"), (("--set", "seed=5"), "another spec")):
        assert message in refusal("search", "--space", space, *arguments)
    assert folder.spec.read_text() == before


def test_a_dry_run_prints_the_plan_and_leaves_nothing(
    run: Run, tmp_path: Path, space: Path
) -> None:
    status, out, error = run("search", "--space", space, "--trials", 7, "--dry-run")
    assert (status, error) == (0, "")
    assert "# 7 trials over loss_weights.cycle, by target_val_accuracy\n" in out
    assert "# 2 trial(s) at a time, each on 1 Ray Train worker(s) of 1 CPU\n" in out
    assert "asha may stop trials after epochs [1]" in out
    assert "cycle: {search: loguniform, low: 0.1, high: 30.0}" in out
    assert not (tmp_path / "results").exists()


def test_a_dry_run_knows_the_names_of_the_domains(refusal: Refuse, space: Path) -> None:
    error = refusal("search", "--space", space, "--dry-run", "--set", "data.source.domain=mnist6k")
    assert "there is no domain 'mnist6k'" in error


def test_the_script_is_the_search_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], space: Path
) -> None:
    monkeypatch.setattr(plan, "local_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(sys, "argv", ["run_search.py", "--space", str(space), "--dry-run"])
    with pytest.raises(SystemExit) as exit_info:
        run_search_script()
    assert not exit_info.value.code
    assert "# 3 trials" in capsys.readouterr().out


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[SearchSpec, bool, str | None, bool]]:
    """Arguments of each search that was run; each of them exports a model."""
    arguments = []

    def run_search(
        spec: SearchSpec, *, resume: bool, address: str | None, quiet: bool
    ) -> SearchResult:
        arguments.append((spec, resume, address, quiet))
        return SearchResult(Path("results"), make_summary(), Path("best"))

    monkeypatch.setattr(workflow, "run", run_search)
    return arguments


def test_the_options_override_the_file(run: Run, space: Path, searches: list[Any]) -> None:
    options = ["--trials", 7, "--name", "mine", "--out", "elsewhere", "--address", "auto"]
    assert run("search", "--space", space, *options, "--set", "seed=5").status == 0
    [(spec, resume, address, quiet)] = searches
    assert not quiet
    assert (spec.search.trials, spec.name, spec.storage.out) == (7, "mine", "elsewhere")
    assert (spec.seed, resume, address) == (5, False, "auto")


def test_a_terminal_may_be_asked_for_plain_lines(
    run: Run, space: Path, searches: list[Any]
) -> None:
    assert run("search", "--space", space, "--quiet").status == 0
    assert searches[0][3]


def test_a_search_is_resumed_if_it_has_begun(run: Run, space: Path, searches: list[Any]) -> None:
    run("search", "--space", space, "--resume-if-begun")
    create_or_resume(load_spec(space), resume=False)
    run("search", "--space", space, "--resume-if-begun")
    run("search", "--space", space, "--resume")
    assert [resume for _, resume, _, _ in searches] == [False, True, True]


@pytest.mark.parametrize(
    ("export", "copied", "status"), [(Path("best"), True, 0), (None, True, 1), (None, False, 1)]
)
def test_a_search_without_a_model_or_a_copy_ends_with_1(
    run: Run,
    space: Path,
    monkeypatch: pytest.MonkeyPatch,
    export: Path | None,
    copied: bool,
    status: int,
) -> None:
    result = SearchResult(Path("results"), make_summary(), export, copied)
    monkeypatch.setattr(workflow, "run", lambda *_, **__: result)
    assert run("search", "--space", space) == (status, "", "")


FAILING = """
import sys
from adaptune.cli import app
from adaptune.workflows import search

def fail(*_):
    print("chatter")
    raise OSError(28, "No space left on device")

search.connect = fail
app.main()
"""


def test_a_search_that_a_full_disk_ends_says_so_in_a_few_lines(space: Path) -> None:
    folder = create_or_resume(load_spec(space), resume=False)
    folder.log.symlink_to("/dev/full")
    command = [sys.executable, "-c", FAILING, "search", "--space", str(space), "--resume"]
    done = subprocess.run(
        [*command, "--set", "resources.workers_per_trial=1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "adaptune: the search failed: [Errno 28] No space left on device\nFinished trials are kept"
    )
    assert "chatter" not in done.stderr
    assert "Traceback" not in done.stderr
