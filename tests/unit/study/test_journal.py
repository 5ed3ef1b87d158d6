from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.fake_search import history, make_record, make_search, simulate, smooth

from adaptune.study.journal import StudyJournal
from adaptune.study.storage import open_study, read_study


def test_a_lock_that_a_killed_driver_left_does_not_stop_a_resume(
    journal: Path, tmp_path: Path
) -> None:
    spec = make_search()
    open_study(spec, journal).ask()
    # Optuna's own lock names the absolute path of the journal: after a move it leads nowhere.
    lock = journal.with_name("study.journal.lock")
    lock.symlink_to(tmp_path / "earlier place" / "study.journal")
    open_study(spec, journal).ask()
    assert not lock.is_symlink()
    assert [trial.number for trial in read_study(spec, journal).started_trials()] == [0, 1]


def test_a_search_needs_no_symbolic_links(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_search(search={"trials": 3})
    expected = history(simulate(spec, None, smooth))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(os, "link", refuse)
    assert history(simulate(spec, journal, smooth)) == expected


def test_a_journal_is_durable_as_soon_as_it_exists(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def record(file: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        fsync(file)

    monkeypatch.setattr("adaptune.files.os.fsync", record)
    StudyJournal(journal)
    assert synced == [str(journal), str(journal.parent)]


def test_what_a_failed_append_could_not_remove_is_removed_by_the_next_one(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_search()
    study = open_study(spec, journal)
    trial = study.ask()
    write = os.write

    def write_half(file: int, body: memoryview) -> int:
        write(file, body[: len(body) // 2])
        return fail()

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("adaptune.files.os.write", write_half)
        patch.setattr("adaptune.files.os.ftruncate", fail)
        with pytest.raises(OSError, match="Input/output"):
            study.add_epoch(trial, make_record(1, 0.5), 0.5)
    assert study.add_epoch(trial, make_record(1, 0.5), 0.5)
    assert read_study(spec, journal).trial(0).curve == {1: 0.5}


def test_an_append_that_fails_is_rolled_back(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_search()
    study = open_study(spec, journal)
    trial = study.ask()
    before = journal.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("adaptune.files.os.fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            study.add_epoch(trial, make_record(1, 0.5), 0.5)
    assert journal.read_bytes() == before
    assert study.add_epoch(trial, make_record(1, 0.5), 0.5)
    assert read_study(spec, journal).trial(0).curve == {1: 0.5}
