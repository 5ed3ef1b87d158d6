from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError, ProgrammingError
from support.fake_search import history, make_search, simulate, smooth
from support.fake_time import fake_time
from support.postgresql import Proxy, find_binaries, running_postgresql

from adaptune.errors import LeaseLostError, ResultsError
from adaptune.study import database
from adaptune.study.database import engine_options, open_database, read_database, retry
from adaptune.study.storage import ensure_absent, has_study, open_study, read_study

NO_JOURNAL = Path("unused")
GONE = OperationalError("SELECT 1", {}, Exception("server closed the connection"))


def storage_error(cause: Exception) -> StorageInternalError:
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = cause
    return error


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between retries; the clock advances by them only."""
    pauses: list[float] = []
    fake_time(monkeypatch, database, sleep=pauses.append)
    fake_time(monkeypatch, database, monotonic=lambda: sum(pauses))
    return pauses


def fail(monkeypatch: pytest.MonkeyPatch, method: str, *, times: int, after: bool) -> None:
    """Let a method of Optuna's database fail, before or after it did its work."""
    original = getattr(RDBStorage, method)
    failures = 0

    def request(*arguments: Any, **options: Any) -> Any:
        nonlocal failures
        if failures < times and not after:
            failures += 1
            raise storage_error(GONE)
        answer = original(*arguments, **options)
        if failures < times:
            failures += 1
            raise storage_error(GONE)
        return answer

    monkeypatch.setattr(RDBStorage, method, request)


@pytest.mark.parametrize("error", [GONE, storage_error(GONE)])
def test_a_request_is_repeated_until_the_database_answers(
    error: Exception, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    errors = [error, error, error]

    def request() -> str:
        if errors:
            raise errors.pop()
        return "answer"

    assert retry(request) == "answer"
    assert pauses == [1, 2, 4]
    assert caplog.messages[0] == (
        "storage.study does not answer (server closed the connection); retrying in 1 s"
    )


def test_a_database_that_stays_away_fails_after_five_minutes(pauses: list[float]) -> None:
    def request() -> None:
        raise storage_error(GONE)

    with pytest.raises(StorageInternalError):
        retry(request)
    assert 270 <= sum(pauses) <= 300


def test_an_error_that_would_come_again_is_raised_at_once(pauses: list[float]) -> None:
    missing = ProgrammingError("SELECT 1", {}, Exception("no such table"))

    def request() -> None:
        raise storage_error(missing)

    with pytest.raises(StorageInternalError):
        retry(request)
    assert pauses == []


@pytest.mark.parametrize("after", [False, True])
def test_an_end_of_a_trial_whose_answer_was_lost_is_stored_once(
    after: bool, tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    study = optuna.create_study(storage=open_database(url), direction="maximize")
    trial = study.ask()
    fail(monkeypatch, "set_trial_state_values", times=2, after=after)
    study.tell(trial, 0.5)
    assert pauses == [1] if after else [1, 2]
    assert study.trials[0].state == TrialState.COMPLETE
    assert study.trials[0].value == 0.5


def test_every_request_of_a_search_is_repeated(
    tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_search(storage={"study": f"sqlite:///{tmp_path}/a.db"}, search={"trials": 4})
    expected = history(simulate(spec, NO_JOURNAL, smooth))
    spec = make_search(storage={"study": f"sqlite:///{tmp_path}/b.db"}, search={"trials": 4})
    open_study(spec, NO_JOURNAL)
    names = [name for name in database._RETRIED if name != "create_new_study"]
    for name in (*names, "set_trial_state_values"):
        fail(monkeypatch, name, times=1, after=False)
    with monkeypatch.context() as patch:
        patch.setattr(database, "retry", database.retry)
        assert history(simulate(spec, NO_JOURNAL, smooth)) == expected


def test_a_database_that_another_program_locks_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    spec = make_search(storage={"study": f"sqlite:///{file}"})
    study = open_study(spec, NO_JOURNAL)
    other = sqlite3.connect(file, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.5, other.rollback)
    timer.start()
    assert study.ask().number == 0
    timer.join()
    other.close()


def test_a_lost_lease_ends_requests(tmp_path: Path) -> None:
    def lose() -> None:
        raise LeaseLostError("process 1 on node-7 took over")

    spec = make_search(storage={"study": f"sqlite:///{tmp_path}/studies.db"})
    open_study(spec, NO_JOURNAL)
    with pytest.raises(LeaseLostError):
        open_study(spec, NO_JOURNAL, lose)


def test_reading_creates_neither_a_file_nor_a_table(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    spec = make_search(storage={"study": f"sqlite:///{file}"})
    for exists in (False, True):
        if exists:
            sqlite3.connect(file).close()
            file.touch()
        ensure_absent("fake", spec.storage.study)
        assert not has_study("fake", f"sqlite:///{file}")
        with pytest.raises(ResultsError, match=r"there is no study fake in storage\.study"):
            read_study(spec, NO_JOURNAL)
        assert file.exists() == exists
    assert file.read_bytes() == b""


def test_a_database_that_is_read_cannot_be_changed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    storage = open_database(url)
    study_id = optuna.create_study(study_name="fake", storage=storage)._study_id
    reader = read_database(url)
    assert reader is not None
    with pytest.raises(StorageInternalError):
        reader.set_study_user_attr(study_id, "key", "value")


@pytest.mark.parametrize("url", ["postgresql://h/db", "postgresql+psycopg://h/db"])
def test_every_wait_for_postgresql_is_bounded(url: str) -> None:
    arguments = engine_options(url)["connect_args"]
    assert arguments["connect_timeout"] == 10
    assert arguments["keepalives_idle"] + 3 * arguments["keepalives_interval"] < 60
    assert arguments["tcp_user_timeout"] == 60_000
    assert arguments["options"] == "-c statement_timeout=60s"
    assert "read_only=on" in engine_options(url, read_only=True)["connect_args"]["options"]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[int]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed")
    with running_postgresql(binaries) as port:
        yield port


@pytest.fixture
def proxy(postgresql: int) -> Iterator[Proxy]:
    proxy = Proxy(postgresql)
    yield proxy
    proxy.close()


@pytest.mark.slow
def test_a_search_survives_a_database_that_is_away_for_a_while(
    proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = history(simulate(make_search(search={"trials": 4}), None, smooth))
    url = f"postgresql://tester@127.0.0.1:{proxy.port}/postgres"
    spec = make_search(storage={"study": url}, search={"trials": 4})
    assert not has_study("fake", url)
    turns = 0

    def disturb(tune: Any, trial: Any) -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            proxy.cut()
            threading.Timer(2.5, proxy.restore).start()

    study = simulate(spec, NO_JOURNAL, smooth, disturb=disturb)
    assert turns >= 3
    assert history(study) == expected
    assert any("does not answer" in message for message in caplog.messages)
    assert history(read_study(spec, NO_JOURNAL)) == expected
