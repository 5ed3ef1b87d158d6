from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from adaptune.errors import ResultsError
from adaptune.results import lifecycle, remote
from adaptune.results.folder import FORMAT, ResultsFolder
from adaptune.results.lease import DriverLease, LeaseTimes
from adaptune.results.lifecycle import create_or_resume, discard, open_existing
from adaptune.results.lock import driver_lock
from adaptune.spec.schema import SearchSpec

SpecIn = Callable[..., SearchSpec]


def test_a_search_creates_a_folder_resumes_it_and_extends_it(spec_in: SpecIn) -> None:
    folder = create_or_resume(spec_in(), resume=False)
    assert open_existing(folder.path) == (folder, spec_in())
    extended = spec_in(search={"trials": 50})
    assert create_or_resume(extended, resume=True) == folder
    assert open_existing(folder.path)[1].search.trials == 50
    discard(folder)
    assert not folder.path.exists()


def test_a_new_search_and_a_resume_are_not_mistaken_for_each_other(
    spec_in: SpecIn, tmp_path: Path
) -> None:
    with pytest.raises(ResultsError, match="nothing to resume"):
        create_or_resume(spec_in(), resume=True)
    assert not any(tmp_path.iterdir())
    create_or_resume(spec_in(), resume=False)
    with pytest.raises(ResultsError, match="add --resume"):
        create_or_resume(spec_in(), resume=False)
    for resume in (False, True):
        with pytest.raises(ResultsError, match="another spec"):
            create_or_resume(spec_in(seed=1), resume=resume)


def test_a_running_driver_is_named_first_and_the_folder_left_as_it_is(spec_in: SpecIn) -> None:
    folder = create_or_resume(spec_in(), resume=False)
    before = folder.spec.read_text()
    with driver_lock(folder):
        for spec in (spec_in(search={"trials": 50}), spec_in(seed=1)):
            for resume in (False, True):
                with pytest.raises(ResultsError, match="is in use by process"):
                    create_or_resume(spec, resume=resume)
    assert folder.spec.read_text() == before
    assert create_or_resume(spec_in(), resume=True) == folder


def test_a_folder_of_other_files_is_left_alone(spec_in: SpecIn, tmp_path: Path) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "thesis.txt").touch()
    with pytest.raises(ResultsError, match="holds other files"):
        create_or_resume(spec_in(), resume=False)
    with pytest.raises(ResultsError, match="cannot write to"):
        create_or_resume(spec_in("fake/thesis.txt"), resume=False)
    with pytest.raises(ResultsError, match=r"holds no search: there is no search\.yaml in it"):
        open_existing(tmp_path / "fake")
    assert (tmp_path / "fake" / "thesis.txt").exists()


def test_an_empty_folder_can_hold_a_new_search(spec_in: SpecIn, tmp_path: Path) -> None:
    (tmp_path / "fake").mkdir()
    assert create_or_resume(spec_in(), resume=False).spec.exists()


def test_a_folder_that_was_moved_is_opened_where_it_is(spec_in: SpecIn, tmp_path: Path) -> None:
    spec = spec_in(remote=True)
    created = create_or_resume(spec, resume=False)
    moved = created.path.rename(tmp_path / "moved")
    folder, opened = open_existing(moved)
    assert opened == spec
    assert folder == ResultsFolder(moved, created.remote, spec.storage.keep_checkpoints)


def set_format(folder: ResultsFolder, version: object) -> None:
    tree = yaml.safe_load(folder.spec.read_text())
    del tree["format"]
    if version is not None:
        tree["format"] = version
    folder.spec.write_text(yaml.dump(tree | {"unknown": "a key of another version"}))


def test_a_folder_names_its_format(spec_in: SpecIn) -> None:
    folder = create_or_resume(spec_in(), resume=False)
    assert yaml.safe_load(folder.spec.read_text())["format"] == FORMAT


@pytest.mark.parametrize(("version", "shown"), [(None, 1), (1, 1), (3, 3)])
def test_a_folder_of_another_format_is_refused_however_it_is_opened(
    version: object, shown: int, spec_in: SpecIn
) -> None:
    folder = create_or_resume(spec_in(), resume=False)
    set_format(folder, version)
    written = folder.spec.read_text()
    message = re.escape(
        f"{folder.path} has format {shown} of another version of adaptune; this version reads"
        f" format {FORMAT}: open it with the version that wrote it, or start the search again under"
        " another --name"
    )
    with pytest.raises(ResultsError, match=message):
        open_existing(folder.path)
    for resume in (False, True):
        with pytest.raises(ResultsError, match=message):
            create_or_resume(spec_in(), resume=resume)
    assert folder.spec.read_text() == written


@pytest.mark.parametrize("content", [b"name: [", b"\xff\xfe\xff", b"- a list", b""])
def test_a_damaged_search_space_file_is_reported(content: bytes, spec_in: SpecIn) -> None:
    folder = create_or_resume(spec_in(), resume=False)
    folder.spec.write_bytes(content)
    message = f"{folder.spec} cannot be read: "
    with pytest.raises(ResultsError, match=message):
        open_existing(folder.path)
    with pytest.raises(ResultsError, match=message):
        create_or_resume(spec_in(), resume=True)


def test_a_search_is_resumed_from_its_copy_on_another_machine(
    spec_in: SpecIn, tmp_path: Path
) -> None:
    folder = create_or_resume(spec_in("here", remote=True), resume=False)
    folder.journal.write_text("the study\n")
    remote.upload(folder)
    elsewhere = spec_in("there", remote=True)
    assert lifecycle.exists(elsewhere)
    with pytest.raises(ResultsError, match="holds a search of this name: add --resume"):
        create_or_resume(elsewhere, resume=False)
    assert not (tmp_path / "there").exists()
    resumed = create_or_resume(elsewhere, resume=True)
    assert resumed.path == tmp_path / "there" / "fake"
    assert resumed.journal.read_text() == "the study\n"
    assert open_existing(resumed.path)[0] == resumed


def test_a_copy_of_another_search_is_not_resumed(spec_in: SpecIn) -> None:
    create_or_resume(spec_in("here", remote=True), resume=False)
    with pytest.raises(ResultsError, match="another spec"):
        create_or_resume(spec_in("there", remote=True, seed=1), resume=True)


def test_a_search_that_never_began_leaves_nothing_in_its_copy_either(spec_in: SpecIn) -> None:
    spec = spec_in(remote=True)
    assert not lifecycle.exists(spec)
    folder = create_or_resume(spec, resume=False)
    assert lifecycle.exists(spec)
    shutil.rmtree(folder.path)
    assert lifecycle.exists(spec)  # by its copy
    discard(folder)
    assert not lifecycle.exists(spec)
    create_or_resume(spec, resume=False)


def test_a_store_that_cannot_be_written_to_is_reported_before_anything_starts(
    spec_in: SpecIn, tmp_path: Path
) -> None:
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(
        ResultsError, match=r"storage\.remote: cannot use file:///.*; check the address"
    ):
        create_or_resume(spec_in("here", remote=True), resume=False)
    assert not (tmp_path / "here" / "fake").exists()


def test_a_store_that_fails_on_a_resume_leaves_the_folder(spec_in: SpecIn, tmp_path: Path) -> None:
    folder = create_or_resume(spec_in("here", remote=True), resume=False)
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(ResultsError, match=r"storage\.remote: cannot use"):
        create_or_resume(spec_in("here", remote=True), resume=True)
    assert folder.spec.exists()


@pytest.mark.parametrize("name", ["search.yaml.part", ".search.yaml.1a2b.part", ".driver"])
def test_what_an_attempt_left_does_not_block_a_name(
    name: str, spec_in: SpecIn, tmp_path: Path
) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / name).touch()
    folder = create_or_resume(spec_in(), resume=False)
    assert folder.spec.exists()
    assert not list(folder.path.glob(".*.part"))


def test_a_full_disk_leaves_nothing_of_a_new_search(
    spec_in: SpecIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("adaptune.files.os.write", fail)
        with pytest.raises(ResultsError, match=r"cannot write to .*: No space left on device"):
            create_or_resume(spec_in(remote=True), resume=False)
    assert list(tmp_path.iterdir()) == []
    assert create_or_resume(spec_in(remote=True), resume=False).spec.exists()


@pytest.mark.parametrize("begun", ["splits.parquet", "trials/0"])
@pytest.mark.parametrize("journal", [None, b"", b'{"op_code": 0, "wor'])
def test_a_search_whose_study_is_gone_is_not_begun_again(
    begun: str, journal: bytes | None, spec_in: SpecIn
) -> None:
    folder = create_or_resume(spec_in(), resume=False)
    (folder.path / begun).mkdir(parents=True)
    if journal is not None:
        folder.journal.write_bytes(journal)
    with pytest.raises(ResultsError, match=r"its study study\.journal is missing or empty: rest"):
        create_or_resume(spec_in(), resume=True)
    in_database = spec_in(search={"trials": 12})
    storage = in_database.storage.model_copy(update={"study": "sqlite:///elsewhere.db"})
    create_or_resume(in_database.model_copy(update={"storage": storage}), resume=True)


def test_a_stale_folder_is_brought_up_to_date_before_anything_is_copied(spec_in: SpecIn) -> None:
    stale = create_or_resume(spec_in("here", remote=True), resume=False)
    stale.journal.write_bytes(b"one\n")
    remote.upload(stale)
    newer = create_or_resume(spec_in("there", remote=True), resume=True)
    newer.journal.write_bytes(b"one\ntwo\n")
    remote.upload(newer)
    assert create_or_resume(spec_in("here", remote=True), resume=True) == stale
    assert stale.journal.read_bytes() == b"one\ntwo\n"


def test_a_folder_that_went_another_way_changes_nothing_in_the_copy(
    spec_in: SpecIn, tmp_path: Path
) -> None:
    folder = create_or_resume(spec_in("here", remote=True), resume=False)
    folder.journal.write_bytes(b"one\ntwo\n")
    remote.upload(folder)
    folder.journal.write_bytes(b"one\nthree\n")
    files = [file for file in (tmp_path / "store").rglob("*") if file.is_file()]
    before = {file: file.read_bytes() for file in files}
    extended = spec_in("here", remote=True, search={"trials": 50})
    with pytest.raises(ResultsError, match="with different trials"):
        create_or_resume(extended, resume=True)
    assert {file: file.read_bytes() for file in before} == before
    assert open_existing(folder.path)[1].search.trials == 12


def make_lease() -> DriverLease:
    return DriverLease(lambda _: None, LeaseTimes(renew_s=0.02, timeout_s=0.3, settle_s=0.0))


def test_a_driver_on_another_machine_is_named_and_its_copy_left_as_it_is(
    spec_in: SpecIn, tmp_path: Path
) -> None:
    with make_lease() as first, make_lease() as second:
        create_or_resume(spec_in("here", remote=True), resume=False, lease=first)
        copy = tmp_path / "store" / "fake" / "search.yaml"
        before = copy.read_text()
        extended = spec_in("there", remote=True, search={"trials": 50})
        with pytest.raises(ResultsError, match="store/fake is in use by process"):
            create_or_resume(extended, resume=True, lease=second)
        assert copy.read_text() == before
    with make_lease() as third:
        create_or_resume(extended, resume=True, lease=third)
    assert "trials: 50" in copy.read_text()
    assert not copy.with_name("driver.json").exists()
