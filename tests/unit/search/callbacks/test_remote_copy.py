from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.fake_search import make_record, make_search, simulate, smooth

from adaptune.errors import LeaseLostError
from adaptune.results.lease import DriverLease
from adaptune.results.lifecycle import create_or_resume, open_existing
from adaptune.results.uploader import Uploader
from adaptune.search.callbacks.remote_copy import DriverLeaseCallback, RemoteCopyCallback
from adaptune.search.protocol import TrialConfig
from adaptune.spec.schema import SearchSpec
from adaptune.study.tables import write_tables
from adaptune.study.trial import TrialPlacement

CONFIG = TrialConfig(3, {})
TRIAL: Any = None


class RecordingUploader:
    """Keeps what was asked for."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def request_journal(self) -> None:
        self.requests.append("journal")

    def request_all(self) -> None:
        self.requests.append("all")


def remote_search(tmp_path: Path, machine: str) -> SearchSpec:
    return make_search(
        search={"trials": 3},
        storage={"out": str(tmp_path / machine), "remote": (tmp_path / "store").as_uri()},
    )


def files_of(store: Path) -> set[str]:
    return {file.name for file in store.rglob("*") if file.is_file()}


def test_a_search_is_uploaded_and_resumed_elsewhere(tmp_path: Path) -> None:
    folder = create_or_resume(remote_search(tmp_path, "here"), resume=False)
    study = simulate(remote_search(tmp_path, "here"), folder.journal, smooth, stop_after=10)
    write_tables(study, folder, TrialPlacement("in_process", 1))
    assert files_of(tmp_path / "store") == {"search.yaml"}  # from the start of the search
    with Uploader(folder) as uploader:
        callback = RemoteCopyCallback(uploader)
        callback.mark_due()
        callback.on_trial_end(CONFIG)
    assert files_of(tmp_path / "store") == {
        "search.yaml",
        "000000000000",
        "trials.parquet",
        "epochs.parquet",
    }
    elsewhere = create_or_resume(remote_search(tmp_path, "there"), resume=True)
    assert elsewhere.journal.read_bytes() == folder.journal.read_bytes()
    assert open_existing(elsewhere.path)[0] == elsewhere


def test_the_study_is_in_the_store_before_a_trial_ends(tmp_path: Path) -> None:
    spec = remote_search(tmp_path, "here")
    folder = create_or_resume(spec, resume=False)
    with Uploader(folder) as uploader:
        callback = RemoteCopyCallback(uploader)
        simulate(spec, folder.journal, smooth, stop_after=1)
        callback.on_start(TRIAL)
        deadline = time.monotonic() + 20
        while "000000000000" not in files_of(tmp_path / "store"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        elsewhere = create_or_resume(remote_search(tmp_path, "there"), resume=True)
    assert elsewhere.journal.read_bytes() == folder.journal.read_bytes()


def test_the_study_is_uploaded_after_each_epoch() -> None:
    uploader: Any = RecordingUploader()
    callback = RemoteCopyCallback(uploader)
    callback.on_epoch(TrialConfig(3, {}), make_record(1, 0.5))
    assert uploader.requests == ["journal"]


def test_an_upload_of_the_tables_is_asked_for_once() -> None:
    uploader: Any = RecordingUploader()
    callback = RemoteCopyCallback(uploader)
    callback.on_start(TRIAL)
    callback.on_trial_end(CONFIG)
    callback.mark_due()
    callback.on_trial_end(CONFIG)
    callback.on_trial_end(CONFIG)
    assert uploader.requests == ["journal", "all"]


def test_a_lost_lease_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = DriverLease()
    callback = DriverLeaseCallback(lease)
    callback.on_step_end(0, [])
    monkeypatch.setattr(lease, "_lost", "process 1 on node-7 took over s3://bucket/fake")
    with pytest.raises(LeaseLostError, match="process 1 on node-7 took over"):
        callback.on_step_end(1, [])
