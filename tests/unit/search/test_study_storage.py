"""The study in a database, the copy of the results in another store, and the budget of checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fake_search import history, make_record, make_search, simulate, smooth

from adaptune.errors import ResultsError
from adaptune.results import remote
from adaptune.results.folder import ResultsFolder, below, folder_of
from adaptune.results.lifecycle import begun, claim, discard, open_existing
from adaptune.search.callbacks.checkpoint_retention import CheckpointRetention
from adaptune.search.trial import checkpoint_folder
from adaptune.spec.schema import SearchSpec
from adaptune.study import study as studies
from adaptune.study.storage import check_new, open_study, study_of

MB = 1_000_000


def test_a_search_in_a_database_is_the_one_in_a_journal(tmp_path: Path) -> None:
    search = {"trials": 6}
    journal = simulate(make_search(search=search), str(tmp_path / "journal"), smooth)
    spec = make_search(search=search, storage={"study": f"sqlite:///{tmp_path}/studies.db"})
    simulate(spec, "unused", smooth, stop_after=20)  # killed, and gone on with
    assert history(simulate(spec, "unused", smooth)) == history(journal)
    assert history(study_of(folder_of(spec), spec)) == history(journal)
    assert not Path("unused").exists()


def test_a_database_is_asked_whether_the_name_is_taken(tmp_path: Path) -> None:
    spec = make_search(storage={"study": f"sqlite:///{tmp_path}/studies.db"})
    check_new(spec)
    with pytest.raises(ResultsError, match=r"there is no study fake in storage\.study"):
        study_of(folder_of(spec), spec)
    open_study(spec, "unused")
    with pytest.raises(ResultsError, match="holds a study fake already"):
        check_new(spec)


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:1/none", "nonsense"]
)
def test_a_database_that_does_not_answer_is_said(url: str) -> None:
    with pytest.raises(ResultsError, match=r"storage\.study: no database answers there"):
        check_new(make_search(storage={"study": url}))


def test_a_database_without_its_client_is_said() -> None:
    with pytest.raises(
        ResultsError,
        match=r"storage\.study: the database's client is missing; .*adaptune\[postgresql\]",
    ):
        check_new(make_search(storage={"study": "mysql://nobody@127.0.0.1:1/none"}))


def test_the_options_of_a_uri_stay_at_its_end() -> None:
    assert below("s3://bucket/results/", "a", "b") == "s3://bucket/results/a/b"
    assert below("s3://bucket?scheme=http", "a") == "s3://bucket/a?scheme=http"


def remote_search(tmp_path: Path, here: str) -> SearchSpec:
    return make_search(
        search={"trials": 3},
        storage={"out": str(tmp_path / here), "remote": (tmp_path / "store").as_uri()},
    )


def test_a_search_goes_on_from_its_copy_on_another_machine(tmp_path: Path) -> None:
    spec = remote_search(tmp_path, "here")
    folder = claim(spec, resume=False)
    assert folder.checkpoints(0) == f"{(tmp_path / 'store').as_uri()}/fake/trials/0/checkpoints"
    simulate(spec, str(folder.journal), smooth, stop_after=10)
    (folder.path / "best").mkdir()
    (folder.path / "best" / "config.json").write_text("{}")
    elsewhere = folder.path / "trials" / "0" / "checkpoints"
    elsewhere.mkdir(parents=True)
    for file in (
        elsewhere / "epoch-0001.pt",
        folder.path / "trials" / "0" / "events",
        folder.path / ".driver",
    ):
        file.touch()
    remote.push(folder, whole=True)
    copied = {file.name for file in (tmp_path / "store" / "fake").rglob("*") if file.is_file()}
    assert copied == {"search.yaml", "study.journal", "config.json", "events"}
    assert (tmp_path / "store" / "fake" / "best" / "config.json").read_text() == "{}"

    elsewhere = remote_search(tmp_path, "there")
    with pytest.raises(ResultsError, match="holds a search of this name: add --resume"):
        claim(elsewhere, resume=False)
    assert not (tmp_path / "there").exists()
    there = claim(elsewhere, resume=True)
    assert there.journal.read_bytes() == folder.journal.read_bytes()
    assert open_existing(there.path)[0] == there


def test_a_search_that_never_began_leaves_nothing_in_its_copy_either(tmp_path: Path) -> None:
    spec = remote_search(tmp_path, "here")
    assert not begun(spec)
    folder = claim(spec, resume=False)
    shutil.rmtree(folder.path)
    assert begun(spec)  # by its copy
    discard(folder)
    assert not begun(spec)
    claim(spec, resume=False)


def test_a_store_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(
        ResultsError, match=r"storage\.remote: cannot use file:///.*; check the address"
    ):
        claim(remote_search(tmp_path, "here"), resume=False)
    assert not (tmp_path / "here" / "fake").exists()


@pytest.fixture
def trained(
    tmp_path: Path,
) -> Callable[..., tuple[SearchSpec, ResultsFolder, dict[int, list[int]]]]:
    """Three trials of three epochs, the last still running, and which checkpoints a budget leaves of each."""

    def train(budget_mb: float | None) -> tuple[SearchSpec, ResultsFolder, dict[int, list[int]]]:
        budget = None if budget_mb is None else budget_mb / 1000
        spec = make_search(
            training={"epochs": 3}, storage={"out": str(tmp_path), "checkpoint_budget_gb": budget}
        )
        folder = ResultsFolder(tmp_path / "fake")
        study = open_study(spec, str(tmp_path / "journal"))
        sweeper = CheckpointRetention(spec, study, folder)
        for accuracies in ((0.5, 0.9, 0.8), (0.5, 0.4, 0.3), (0.6, 0.2, 0.1)):
            trial = studies.ask(study, spec)
            where = Path(folder.checkpoints(trial.number))
            where.mkdir(parents=True)
            for epoch, accuracy in enumerate(accuracies, start=1):
                (where / f"epoch-{epoch:04d}.pt").write_bytes(bytes(MB))
                studies.add_epoch(trial, make_record(epoch, accuracy), accuracy)
                sweeper.enforce(trial.number)
            if trial.number < 2:
                studies.finish(study, trial, epochs=3, error=None, wall_s=None)
        return spec, folder, {n: checkpoint_folder(spec, n, folder).epochs() for n in range(3)}

    return train


@pytest.mark.parametrize(
    ("budget_mb", "left"),
    [
        (None, {0: [1, 2, 3], 1: [1, 2, 3], 2: [1, 2, 3]}),
        (9, {0: [1, 2, 3], 1: [1, 2, 3], 2: [1, 2, 3]}),
        (4, {0: [2], 1: [1], 2: [1, 3]}),  # what no trial needs goes first
        (3, {0: [2], 1: [], 2: [1, 3]}),  # then the best of the worst
        (
            1,
            {0: [2], 1: [], 2: [1, 3]},
        ),  # never the search's best, nor what the running trial needs
    ],
)
def test_a_budget_takes_the_checkpoints_that_are_missed_least(
    trained: Callable[..., tuple[SearchSpec, ResultsFolder, dict[int, list[int]]]],
    budget_mb: float | None,
    left: dict[int, list[int]],
) -> None:
    assert trained(budget_mb)[2] == left
