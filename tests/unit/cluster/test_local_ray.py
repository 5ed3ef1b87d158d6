from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stop_signals import drop_signal

from adaptune.cluster import local_ray
from adaptune.cluster.local_ray import PREFIX, local_node_address, private_folder
from adaptune.errors import NodesLostError, ResourceError
from adaptune.signals import stop_on_signals

HOLD = (
    "import sys\n"
    "from adaptune.cluster.local_ray import private_folder\n"
    "with private_folder() as folder:\n"
    "    folder.mkdir()\n"
    "    print(folder, flush=True)\n"
    "    sys.stdin.read()\n"
)


@pytest.fixture(autouse=True)
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, with a short path."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="p") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.delenv("RAY_TMPDIR", raising=False)
        yield Path(folder)


def fail(error: BaseException) -> None:
    """Let an error end a search."""
    with private_folder() as folder:
        folder.mkdir()
        raise error


def folders(parent: Path) -> list[Path]:
    return list(parent.glob(f"{PREFIX}*"))


def test_only_its_user_can_enter_the_folder_and_it_is_removed(parent: Path) -> None:
    before = os.umask(0)
    try:
        with private_folder() as folder:
            folder.mkdir()
            assert folder.parent.parent == parent
            assert folder.parent.stat().st_mode & 0o777 == 0o700
            assert folder.parent.stat().st_uid == os.getuid()
    finally:
        os.umask(before)
    assert folders(parent) == []


def test_two_folders_have_different_names() -> None:
    with private_folder() as one, private_folder() as other:
        assert one != other


@pytest.mark.parametrize("error", [KeyboardInterrupt(), NodesLostError("no node")])
def test_the_folder_of_a_search_that_was_stopped_is_removed(
    parent: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        fail(error)
    assert folders(parent) == []


def test_the_folder_of_a_search_that_failed_after_a_signal_is_removed(parent: Path) -> None:
    with stop_on_signals():
        drop_signal()
        with pytest.raises(ConnectionError):
            fail(ConnectionError("the raylet is dead"))
    assert folders(parent) == []


def test_the_logs_of_a_failed_search_are_kept_until_the_next_one(
    parent: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyError, match="of the search"):
        fail(KeyError("of the search"))
    [folder] = folders(parent)
    assert f"Ray's logs are kept in {folder}" in capsys.readouterr().err
    monkeypatch.setattr(local_ray, "LOCK_DELAY_S", -1.0)
    with private_folder():
        assert not folder.exists()


def test_the_folder_of_a_killed_search_is_removed_and_that_of_a_running_one_is_kept(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_ray, "LOCK_DELAY_S", -1.0)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        with private_folder():
            assert folder.exists()
        process.kill()
        process.wait()
    assert folder.exists()
    with private_folder():
        assert not folder.exists()
    assert folders(parent) == []


def test_a_new_folder_is_not_taken_for_an_abandoned_one(parent: Path) -> None:
    folder = parent / f"{PREFIX}new"
    folder.mkdir()
    with private_folder():
        assert folder.exists()


def test_a_link_in_the_place_of_a_folder_is_not_followed(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_ray, "LOCK_DELAY_S", -1.0)
    (tmp_path / "file").touch()
    (parent / f"{PREFIX}link").symlink_to(tmp_path)
    with private_folder():
        pass
    assert (tmp_path / "file").exists()


def test_a_long_folder_for_temporary_files_is_passed_over(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = parent / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with private_folder() as folder:
        assert folder.parent.parent == Path("/tmp")
    monkeypatch.setenv("RAY_TMPDIR", str(parent))
    with private_folder() as folder:
        assert folder.parent.parent == parent


def test_a_folder_that_cannot_be_created_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/nowhere")
    with pytest.raises(ResourceError, match="set RAY_TMPDIR to a short path"), private_folder():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have 127.0.0.1 only")
def test_the_node_of_a_local_cluster_has_an_address_of_this_machine_only() -> None:
    assert local_node_address() == "127.0.0.2"
