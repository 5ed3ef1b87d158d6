"""`adaptune search` refuses what cannot run, in plain words and without a trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptune.cli import app as cli
from adaptune.cli import search as runs
from adaptune.results.lifecycle import claim
from adaptune.spec import load_spec

Run = Callable[..., tuple[int, str, str]]
Classes = Callable[..., Path]


def refused(run: Run, tmp_path: Path, *arguments: object) -> str:
    status, _, error = run("search", *arguments)
    assert status == 2
    assert "Traceback" not in error
    assert not list(tmp_path.glob("results/*"))
    return error


def test_a_missing_file(run: Run, tmp_path: Path) -> None:
    error = refused(run, tmp_path, "--space", "nowhere.yaml")
    assert error.startswith("adaptune: no search space file nowhere.yaml; search_spaces/ has ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "space.yaml:1: not YAML"),
        ("- 1", "the top level must be a mapping"),
        (
            "name: a\ntrainin: {}\n",
            "space.yaml:2: trainin: unknown key `trainin`; did you mean `training`?",
        ),
    ],
)
def test_a_bad_file(run: Run, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    assert says in refused(run, tmp_path, "--space", file)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("loss_weights.cicle=1", "did you mean `cycle`?"),
        ("training.epochs=soon", "training.epochs = soon: must be a whole number"),
        ("training.epochs", "must have the form key.path=value"),
        ("training.epochs={search: int, low: 1, high: 9}", "early stopping needs the same budget"),
        ("data.target.domain=optdigit", "Did you mean 'optdigits'?"),
        ("data.target.domain=optdigits", "source and target must have the same classes"),
        ("data.target.domain=imagefolder:/nowhere", "there is no folder /nowhere"),
        ("resources.workers_per_trial=64", "64 worker(s) × 1 CPU = 64 CPU"),
        ("resources.workers_per_trial=3", "cannot be shared by 3 workers"),
    ],
)
def test_a_bad_override(run: Run, tmp_path: Path, space: Path, override: str, says: str) -> None:
    assert says in refused(run, tmp_path, "--space", space, "--set", override)


def test_bad_images(run: Run, tmp_path: Path, space: Path, classes: Classes) -> None:
    def error(folder: Path) -> str:
        return refused(
            run, tmp_path, "--space", space, "--set", f"data.target.domain=imagefolder:{folder}"
        )

    (tmp_path / "empty").mkdir()
    assert "has no class folders" in error(tmp_path / "empty")
    assert "class" in error(classes(tmp_path / "others", names=("cat", "owl")))
    assert "source and target are both" in error(tmp_path / "source")
    too_few = error(classes(tmp_path / "few", count=2))
    assert "target_test" in too_few
    broken = classes(tmp_path / "broken")
    (broken / "dog" / "3.png").write_bytes(b"no image")
    assert f"{broken}/dog/3.png cannot be read as an image" in error(broken)


def test_a_flag_that_there_is_not(run: Run, tmp_path: Path, space: Path) -> None:
    assert "No such option" in refused(run, tmp_path, "--space", space, "--trails", 3)
    assert "--space" in refused(run, tmp_path)


def test_resuming_nothing(run: Run, tmp_path: Path, space: Path) -> None:
    assert "nothing to resume" in refused(run, tmp_path, "--space", space, "--resume")


def test_the_folder_of_a_search(run: Run, space: Path) -> None:
    folder = claim(load_spec(space), resume=False)
    before = folder.spec.read_text()
    for arguments, says in (((), "add --resume"), (("--set", "seed=5"), "another spec")):
        status, _, error = run("search", "--space", space, *arguments)
        assert status == 2
        assert says in error
        assert "Traceback" not in error
    assert folder.spec.read_text() == before


def test_a_dry_run_prints_the_plan_and_leaves_nothing(
    run: Run, tmp_path: Path, space: Path
) -> None:
    status, out, error = run("search", "--space", space, "--trials", 7, "--dry-run")
    assert (status, error) == (0, "")
    assert "# 7 trials over loss_weights.cycle, by target_val_accuracy\n" in out
    assert "# 1 trial(s) at a time, each on 2 Ray Train worker(s) of 1 CPU\n" in out
    assert "asha looks at epochs [1]" in out
    assert "cycle: {search: loguniform, low: 0.1, high: 30.0}" in out
    assert not (tmp_path / "results").exists()


def test_a_dry_run_knows_the_domains_names(run: Run, space: Path) -> None:
    status, _, error = run(
        "search", "--space", space, "--dry-run", "--set", "data.source.domain=mnist6k"
    )
    assert status == 2
    assert "there is no domain 'mnist6k'" in error


def test_the_script_is_the_search_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], space: Path
) -> None:
    monkeypatch.setattr(runs, "local_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(sys, "argv", ["run_search.py", "--space", str(space), "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        cli.run_search_script()
    assert not ended.value.code
    assert "# 3 trials" in capsys.readouterr().out


def test_a_cluster_that_does_not_answer_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from adaptune.cluster import connection
    from adaptune.errors import ResourceError

    def fail(**_: object) -> None:
        raise ConnectionError("timed out")

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(connection, "ENVIRONMENT", {})
    with (
        pytest.raises(
            ResourceError,
            match=r"no Ray cluster answers at nowhere: timed out.*RAY_AUTH_MODE=token",
        ),
        connection.joined("nowhere", "small"),
    ):
        pass


FAILING = """
import sys
from adaptune.cli import app as cli, search as runs
from adaptune.cluster import connection

def fail(*_):
    print("chatter")
    raise OSError(28, "No space left on device")

connection.joined = fail
cli.main()
"""


def test_a_search_that_a_full_disk_ends_says_so_in_a_few_lines(space: Path) -> None:
    folder = claim(load_spec(space), resume=False)
    folder.log.symlink_to("/dev/full")
    arguments = ["search", "--space", space, "--resume", "--set", "resources.workers_per_trial=1"]
    done = subprocess.run(
        [sys.executable, "-c", FAILING, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(
        "the search failed: [Errno 28] No space left on device\nWhat was finished is kept in"
    )
    assert "chatter" not in done.stdout
