from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.object_store import running_store

from adaptune.results.folder import ResultsFolder, join_uri
from adaptune.results.scratch import remove_scratch
from adaptune.training.file_store import FileStore


def test_rays_files_are_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    for file in (".ray/tune/trial-0/params.json", ".ray/train/workers/state", "ray.log"):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for _ in range(2):
        remove_scratch(folder)
        assert [file.name for file in tmp_path.iterdir()] == ["ray.log"]


def test_rays_files_in_an_object_store_are_removed(tmp_path: Path) -> None:
    with running_store() as store:
        folder = ResultsFolder(tmp_path, join_uri(store.uri, "digits"))
        remove_scratch(folder)
        FileStore(folder.scratch("tune", "trial-0")).write("params.json", b"{}")
        folder.checkpoints(0)._files.write("epoch-0001.png", b"png")
        remove_scratch(folder)
        assert store.files() == {"digits/trials/0/checkpoints/epoch-0001.png"}


def test_files_that_cannot_be_removed_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    remove_scratch(ResultsFolder(tmp_path))
    assert caplog.messages[0].startswith(f"Ray's files in {tmp_path}/.ray not removed: ")
