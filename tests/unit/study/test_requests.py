from __future__ import annotations

from pathlib import Path

import pytest

from adaptune.results.folder import ResultsFolder
from adaptune.study.requests import Request, pending_requests, remove_request, send_request


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path)


def test_requests_are_read_in_the_order_in_which_they_were_sent(folder: ResultsFolder) -> None:
    requests = [
        Request(action="try", values={"loss_weights.cycle": 3.0, "model.classifier": "lenet"}),
        Request(action="stop", trial=4),
        Request(action="add", trials=2),
        Request(action="finish"),
    ]
    names = [send_request(folder, request) for request in requests]
    assert list(pending_requests(folder)) == list(zip(names, requests, strict=True))


def test_a_removed_request_is_not_read_again(folder: ResultsFolder) -> None:
    first = send_request(folder, Request(action="finish"))
    second = send_request(folder, Request(action="finish"))
    remove_request(folder, first)
    remove_request(folder, first)
    assert [name for name, _ in pending_requests(folder)] == [second]


def test_a_damaged_request_is_named(folder: ResultsFolder) -> None:
    name = send_request(folder, Request(action="finish"))
    [file] = (folder.path / "requests").iterdir()
    file.write_text('{"action": "fini')
    assert list(pending_requests(folder)) == [(name, None)]
    file.write_text('{"action": "explode"}')
    assert list(pending_requests(folder)) == [(name, None)]


def test_a_folder_without_requests_has_none(folder: ResultsFolder) -> None:
    assert list(pending_requests(folder)) == []
    remove_request(folder, "none")
