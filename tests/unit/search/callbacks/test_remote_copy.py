from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import FakeTrial, make_search, simulate, smooth

from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import create_or_resume, open_existing
from adaptune.search.callbacks.remote_copy import RemoteCopyCallback
from adaptune.search.protocol import TrialConfig, TrialResult
from adaptune.spec.schema import SearchSpec
from adaptune.study.tables import write_tables
from adaptune.study.trial import TrialPlacement

END = (TrialConfig(3, {}), TrialResult(done=True))


def remote_search(tmp_path: Path, machine: str) -> SearchSpec:
    return make_search(
        search={"trials": 3},
        storage={"out": str(tmp_path / machine), "remote": (tmp_path / "store").as_uri()},
    )


def files_of(store: Path) -> set[str]:
    return {file.name for file in store.rglob("*") if file.is_file()}


def test_a_search_is_uploaded_after_its_tables_were_written_and_resumed_elsewhere(
    tmp_path: Path,
) -> None:
    folder = create_or_resume(remote_search(tmp_path, "here"), resume=False)
    study = simulate(remote_search(tmp_path, "here"), folder.journal, smooth, stop_after=10)
    write_tables(study, folder, TrialPlacement("in_process", 1))
    callback = RemoteCopyCallback(folder)
    callback.on_trial_end(*END)
    assert files_of(tmp_path / "store") == {"search.yaml"}  # from the start of the search
    callback.mark_due()
    callback.on_trial_end(*END)
    assert files_of(tmp_path / "store") == {
        "search.yaml",
        "study.journal",
        "trials.parquet",
        "epochs.parquet",
    }
    elsewhere = create_or_resume(remote_search(tmp_path, "there"), resume=True)
    assert elsewhere.journal.read_bytes() == folder.journal.read_bytes()
    assert open_existing(elsewhere.path)[0] == elsewhere


def test_an_upload_is_due_once(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path / "fake", (tmp_path / "store").as_uri())
    folder.path.mkdir()
    folder.spec.write_text("first")
    callback = RemoteCopyCallback(folder)
    callback.mark_due()
    callback.on_trial_end(*END)
    folder.spec.write_text("second")
    callback.on_trial_end(*END)
    assert (tmp_path / "store" / "search.yaml").read_text() == "first"


def test_a_store_that_cannot_be_written_does_not_end_a_search(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store").write_text("not a folder")
    folder = ResultsFolder(tmp_path / "fake", (tmp_path / "store").as_uri())
    folder.path.mkdir()
    folder.spec.touch()
    callback = RemoteCopyCallback(folder)
    callback.mark_due()
    trial = FakeTrial("tune-1", END[0].to_tune())
    callback.on_trial_complete(1, [trial], trial)
    assert caplog.messages == ["RemoteCopyCallback failed; the search continues"]
