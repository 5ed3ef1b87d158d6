from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adaptune.errors import LeaseLostError
from adaptune.results.folder import ResultsFolder
from adaptune.results.remote import RemoteCopy
from adaptune.results.remote_journal import RemoteJournal
from adaptune.results.uploader import Uploader


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waits_for(event: threading.Event) -> Callable[[], None]:
    def wait() -> None:
        assert event.wait(20)

    return wait


@pytest.fixture
def started(folder: ResultsFolder) -> ResultsFolder:
    """A folder with a study of one line and a table."""
    folder.path.mkdir()
    folder.journal.write_bytes(b"one\n")
    folder.trials_table.write_bytes(b"table")
    return folder


def copied_journal(folder: ResultsFolder) -> bytes:
    assert folder.remote is not None
    return RemoteJournal(folder.remote).read()


def copied_table(tmp_path: Path) -> Path:
    return tmp_path / "store" / "fake" / "trials.parquet"


def test_the_journal_is_uploaded_at_once_and_the_rest_at_the_end(
    started: ResultsFolder, tmp_path: Path
) -> None:
    with Uploader(started) as uploader:
        uploader.request_journal()
        wait_until(lambda: copied_journal(started) == b"one\n")
        assert not copied_table(tmp_path).exists()
        started.journal.write_bytes(b"one\ntwo\n")
    assert copied_journal(started) == b"one\ntwo\n"
    assert copied_table(tmp_path).read_bytes() == b"table"


def test_bytes_that_were_appended_after_the_request_are_not_read(started: ResultsFolder) -> None:
    checked = threading.Event()
    uploader = Uploader(started, check=waits_for(checked))
    uploader.request_journal()
    with started.journal.open("ab") as file:
        file.write(b"a line that fai")
    checked.set()
    wait_until(lambda: copied_journal(started) != b"")
    assert copied_journal(started) == b"one\n"
    started.journal.write_bytes(b"one\n")  # rolled back
    uploader.close()
    assert copied_journal(started) == b"one\n"


def test_a_slow_store_does_not_block_the_search_and_gets_the_newest_state(
    started: ResultsFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = threading.Event()
    may_end = threading.Event()
    uploads: list[bytes] = []
    upload_files = RemoteCopy.upload_files

    def upload_slowly(copy: RemoteCopy) -> None:
        uploads.append(started.trials_table.read_bytes())
        entered.set()
        assert may_end.wait(20)
        upload_files(copy)

    monkeypatch.setattr(RemoteCopy, "upload_files", upload_slowly)
    monkeypatch.setattr("adaptune.results.uploader.INTERVAL_PER_DURATION", 0)
    with Uploader(started, min_interval_s=0.0) as uploader:
        uploader.request_all()
        assert entered.wait(20)
        for number in range(5):
            started.trials_table.write_bytes(b"%d" % number)
            uploader.request_all()  # returns at once
        may_end.set()
        wait_until(lambda: len(uploads) == 2)
        time.sleep(0.05)
    assert uploads[:2] == [b"table", b"4"]
    assert copied_table(tmp_path).read_bytes() == b"4"


def test_the_interval_is_twenty_times_the_duration(
    started: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads: list[float] = []

    def upload(copy: RemoteCopy) -> None:
        uploads.append(time.monotonic())
        time.sleep(0.02)

    monkeypatch.setattr(RemoteCopy, "upload_files", upload)
    with Uploader(started, min_interval_s=0.0) as uploader:
        uploader.request_all()
        wait_until(lambda: len(uploads) == 1)
        uploader.request_all()
        wait_until(lambda: len(uploads) == 2)
    assert uploads[1] - uploads[0] >= 21 * 0.02


def fail_once(uploader: Uploader, store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ask for an upload, and let the store fail until that is logged."""
    store.write_text("not a folder")
    uploader.request_all()
    wait_until(lambda: bool(caplog.messages))
    store.unlink()


def test_a_store_that_fails_is_logged_and_tried_again(
    started: ResultsFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Uploader(started, min_interval_s=0.0) as uploader:
        fail_once(uploader, tmp_path / "store", caplog)
    assert caplog.messages[0].startswith("the copy to storage.remote failed: ")
    assert copied_journal(started) == b"one\n"
    assert copied_table(tmp_path).exists()


def test_a_failed_upload_is_repeated_without_another_request(
    started: ResultsFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Uploader(started, min_interval_s=0.05) as uploader:
        fail_once(uploader, tmp_path / "store", caplog)
        wait_until(lambda: copied_table(tmp_path).exists())
        assert copied_journal(started) == b"one\n"


def test_after_the_lease_is_lost_nothing_is_uploaded(
    started: ResultsFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def lose() -> None:
        raise LeaseLostError("process 1 on node-7 took over")

    with Uploader(started, check=lose, min_interval_s=0.0) as uploader:
        uploader.request_all()
        wait_until(lambda: bool(caplog.messages))
        uploader.request_all()
    assert caplog.messages == ["process 1 on node-7 took over"]
    assert not (tmp_path / "store").exists()


def test_an_upload_that_hangs_does_not_hold_up_the_end(
    started: ResultsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    may_end = threading.Event()
    uploader = Uploader(started, check=waits_for(may_end))
    uploader.request_all()
    uploader.close(timeout_s=0.05)
    assert caplog.messages == ["the copy to storage.remote did not end within 0 s"]
    may_end.set()
    uploader.close()


def test_without_a_store_there_is_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with Uploader(ResultsFolder(tmp_path)) as uploader:
        uploader.request_all()
        assert threading.active_count() == before
