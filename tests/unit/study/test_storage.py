from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from support.fake_search import history, make_record, make_search, simulate, smooth

from adaptune.errors import ResultsError
from adaptune.spec.schema import SearchSpec
from adaptune.study.storage import ensure_absent, open_study, read_study

NO_JOURNAL = Path("unused")


def in_database(folder: Path, **sections: Any) -> SearchSpec:
    return make_search(storage={"study": f"sqlite:///{folder}/studies.db"}, **sections)


def test_a_search_in_a_database_equals_the_one_in_a_journal(tmp_path: Path) -> None:
    search = {"trials": 6}
    expected = history(simulate(make_search(search=search), tmp_path / "journal", smooth))
    spec = in_database(tmp_path, search=search)
    simulate(spec, NO_JOURNAL, smooth, stop_after=20)  # killed, and resumed
    assert history(simulate(spec, NO_JOURNAL, smooth)) == expected
    assert history(read_study(spec, NO_JOURNAL)) == expected
    assert not NO_JOURNAL.exists()


def test_a_database_is_asked_whether_the_name_is_taken(tmp_path: Path) -> None:
    spec = in_database(tmp_path)
    ensure_absent(spec.name, spec.storage.study)
    with pytest.raises(ResultsError, match=r"there is no study fake in storage\.study"):
        read_study(spec, NO_JOURNAL)
    open_study(spec, NO_JOURNAL)
    with pytest.raises(ResultsError, match="holds a study fake already"):
        ensure_absent(spec.name, spec.storage.study)
    ensure_absent("another", spec.storage.study)


def test_a_journal_needs_no_check_of_the_name() -> None:
    ensure_absent("fake", None)


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:1/none", "nonsense"]
)
def test_a_database_that_does_not_answer_is_reported(url: str) -> None:
    spec = make_search(storage={"study": url})
    with pytest.raises(ResultsError, match=r"storage\.study: the database does not answer: "):
        open_study(spec, NO_JOURNAL)


def test_a_database_without_its_client_is_reported_with_the_remedy() -> None:
    message = r"storage\.study: the database's client is missing; .*adaptune\[postgresql\]"
    with pytest.raises(ResultsError, match=message):
        ensure_absent("fake", "mysql://nobody@127.0.0.1:1/none")


def test_reading_a_study_that_does_not_exist_creates_no_file(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="there is no study"):
        read_study(make_search(), tmp_path / "study.journal")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "no JSON\n"])
def test_a_journal_without_a_study_is_refused(journal: Path, text: str) -> None:
    journal.write_text(text)
    with pytest.raises(ResultsError, match="there is no study in"):
        read_study(make_search(), journal)
    assert journal.read_text() == text


def test_a_study_that_is_being_created_is_not_read(tmp_path: Path, journal: Path) -> None:
    storage = JournalStorage(JournalFileBackend(str(journal)))
    optuna.create_study(study_name="fake", storage=storage)
    with pytest.raises(ResultsError, match="the study fake is incomplete"):
        read_study(make_search(), journal)
    spec = in_database(tmp_path)
    optuna.create_study(study_name="fake", storage=spec.storage.study)
    with pytest.raises(ResultsError, match="the study fake is incomplete"):
        read_study(spec, NO_JOURNAL)


def test_reading_a_study_changes_nothing(journal: Path) -> None:
    spec = make_search(search={"start_points": [{"loss_weights.cycle": 10.0}]})
    open_study(spec, journal).ask()
    before = journal.read_bytes()
    assert [trial.number for trial in read_study(spec, journal).started_trials()] == [0]
    assert journal.read_bytes() == before


def test_a_truncated_last_line_costs_no_more_than_itself(journal: Path) -> None:
    spec = make_search()
    open_study(spec, journal).ask()
    with journal.open("a") as file:
        file.write('{"op_code": 5, "worker')  # as a kill leaves it
    open_study(spec, journal).ask()
    trials = read_study(spec, journal).started_trials()
    assert [trial.number for trial in trials] == [0, 1]


def test_a_journal_of_one_truncated_line_is_begun_again(journal: Path) -> None:
    journal.write_text('{"op_code": 0, "worker')
    spec = make_search()
    open_study(spec, journal).ask()
    assert [trial.number for trial in read_study(spec, journal).started_trials()] == [0]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Cut a longer write short and let it fail, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_journal_as_it_was_and_the_study_usable(journal: Path) -> None:
    spec = make_search()
    study = open_study(spec, journal)
    trial = study.ask()
    before = journal.read_bytes()
    with file_size_limit(len(before) + 20), pytest.raises(OSError, match="File too large"):
        study.add_epoch(trial, make_record(1, 0.5), 0.5)
    assert journal.read_bytes() == before
    assert study.add_epoch(trial, make_record(1, 0.5), 0.5)  # there is space again
    assert read_study(spec, journal).trial(0).curve == {1: 0.5}
