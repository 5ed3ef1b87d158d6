from __future__ import annotations

from pathlib import Path

import pytest

from adaptune.errors import ResultsError
from adaptune.results import remote
from adaptune.results.folder import ResultsFolder
from adaptune.results.remote_journal import RemoteJournal

PART = "study.journal/000000000000"
UNREACHABLE = r"storage\.remote: cannot use .*; check the address, the credentials and that"


def fill(folder: ResultsFolder, *names: str) -> None:
    """Write files with one line, their own names."""
    for name in names:
        file = folder.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n")


def copied(tmp_path: Path) -> set[str]:
    """The names of the files in the store."""
    store = tmp_path / "store" / "fake"
    return {str(file.relative_to(store)) for file in store.rglob("*") if file.is_file()}


def test_an_upload_copies_what_a_resume_needs_and_the_tables(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    tables = ("trials.parquet", "epochs.parquet")
    fill(folder, "search.yaml", "study.journal", "ray.log", "best/config.json", *tables)
    remote.upload(folder)
    assert copied(tmp_path) == {"search.yaml", PART, *tables}
    fill(folder, "splits.parquet")
    remote.upload(folder)
    assert "splits.parquet" in copied(tmp_path)


def test_an_upload_of_everything_leaves_out_checkpoints_and_hidden_files(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    fill(
        folder,
        "search.yaml",
        "best/config.json",
        "trials/0/events",
        "trials/0/checkpoints/epoch-0001.pt",
        ".driver",
        ".ray/train/state",
    )
    remote.upload(folder, everything=True)
    assert copied(tmp_path) == {"search.yaml", "best/config.json", "trials/0/events"}
    text = (tmp_path / "store" / "fake" / "best" / "config.json").read_text()
    assert text == "best/config.json\n"


def test_an_upload_overwrites_the_copy(folder: ResultsFolder, tmp_path: Path) -> None:
    fill(folder, "search.yaml")
    remote.upload(folder)
    folder.spec.write_text("longer")
    remote.upload(folder)
    assert (tmp_path / "store" / "fake" / "search.yaml").read_text() == "longer"


def test_a_copy_exists_once_it_has_the_search_space_file(folder: ResultsFolder) -> None:
    assert not remote.exists(folder)
    fill(folder, "study.journal")
    remote.upload(folder)
    assert not remote.exists(folder)
    fill(folder, "search.yaml")
    remote.upload(folder)
    assert remote.exists(folder)


def test_a_download_brings_what_a_resume_needs(folder: ResultsFolder, tmp_path: Path) -> None:
    fill(folder, "search.yaml", "study.journal", "best/config.json")
    remote.upload(folder, everything=True)
    elsewhere = ResultsFolder(tmp_path / "elsewhere", folder.remote)
    remote.download(elsewhere)
    assert {file.name for file in elsewhere.path.iterdir()} == {"search.yaml", "study.journal"}
    assert elsewhere.journal.read_text() == "study.journal\n"


def test_a_discarded_copy_leaves_nothing_of_the_study(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    fill(folder, "search.yaml", "study.journal")
    remote.upload(folder)
    remote.discard(folder)
    assert not remote.exists(folder)
    assert copied(tmp_path) == set()
    remote.check_empty(folder)
    remote.discard(folder)  # it is gone already


def test_a_study_without_its_marker_is_not_overwritten(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    fill(folder, "study.journal")
    remote.upload(folder)
    with pytest.raises(ResultsError, match=r"holds a study without its search\.yaml: delete it"):
        remote.check_empty(folder)
    assert copied(tmp_path) == {PART}


def test_without_a_store_there_is_nothing_to_do(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    fill(folder, "search.yaml")
    remote.upload(folder, everything=True)
    remote.discard(folder)
    assert not remote.exists(folder)
    assert folder.spec.exists()


@pytest.mark.parametrize("uri", ["nonsense://bucket", "s3://"])
def test_an_address_that_is_none_is_reported(uri: str, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, uri)
    with pytest.raises(ResultsError, match=UNREACHABLE):
        remote.exists(folder)
    remote.discard(folder)  # does nothing


def test_a_store_that_fails_in_a_download_is_reported(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    fill(folder, "search.yaml")
    remote.upload(folder)
    (tmp_path / "file").touch()
    nowhere = ResultsFolder(tmp_path / "file" / "folder", folder.remote)
    with pytest.raises(ResultsError, match=UNREACHABLE):
        remote.download(nowhere)


def test_a_store_that_cannot_be_written_to_fails_the_upload(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    fill(folder, "search.yaml")
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(OSError, match="store"):
        remote.upload(folder)


def write_journal(folder: ResultsFolder, text: bytes) -> None:
    folder.path.mkdir(exist_ok=True)
    folder.journal.write_bytes(text)


def test_a_stale_folder_is_brought_up_to_date(folder: ResultsFolder, tmp_path: Path) -> None:
    write_journal(folder, b"one\ntwo\n")
    fill(folder, "splits.parquet")
    remote.upload(folder)
    stale = ResultsFolder(tmp_path / "stale", folder.remote)
    write_journal(stale, b"one\ntw")  # killed within a line
    remote.download(stale)
    assert stale.journal.read_bytes() == b"one\ntwo\n"
    assert stale.splits.read_text() == "splits.parquet\n"


def test_a_folder_that_is_ahead_of_its_copy_is_left_as_it_is(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    write_journal(folder, b"one\n")
    remote.upload(folder)
    write_journal(folder, b"one\ntwo\n")
    remote.download(folder)
    assert folder.journal.read_bytes() == b"one\ntwo\n"
    remote.upload(folder)
    assert copied(tmp_path) == {PART, "study.journal/000000000004"}


def test_folders_that_went_different_ways_are_refused_and_left_as_they_are(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    write_journal(folder, b"one\ntwo\n")
    remote.upload(folder)
    other = ResultsFolder(tmp_path / "other", folder.remote)
    write_journal(other, b"one\nthree\n")
    with pytest.raises(ResultsError, match=r"with different trials: .* move .*/other away; to"):
        remote.download(other)
    assert other.journal.read_bytes() == b"one\nthree\n"
    assert (tmp_path / "store" / "fake" / PART).read_bytes() == b"one\ntwo\n"


def test_journals_of_seeds_are_uploaded_next_to_their_specs(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    fill(folder, "confirm/seed-1/search.yaml", "confirm/seed-1/study.journal")
    remote.upload(folder, everything=True)
    seed = "confirm/seed-1"
    assert copied(tmp_path) == {f"{seed}/search.yaml", f"{seed}/{PART}"}
    remote.upload(folder, everything=True)
    assert folder.remote is not None
    assert RemoteJournal(f"{folder.remote}/{seed}").read() == b"confirm/seed-1/study.journal\n"
