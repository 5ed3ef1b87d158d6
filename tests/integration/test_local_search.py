"""`make search`'s own path: no --address, Ray's token as a user has it, and the dashboard."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.http_probe import answers_http
from support.local_search import LocalSearch
from support.ray_nodes import folder_for_ray
from support.real_ray import RAY

from adaptune.artifacts.load import load_export

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def search() -> Iterator[LocalSearch]:
    before = os.umask(0)  # so that only the modes that are asked for protect the files
    with folder_for_ray("l.") as folder:
        search = LocalSearch(folder)
        try:
            search.start()
            os.umask(before)
            yield search
        finally:
            search.kill()


def test_a_local_search_is_private_while_it_runs_and_leaves_nothing(search: LocalSearch) -> None:
    search.wait_for(search.has_epoch, "the first epoch")
    [folder] = search.temporary.iterdir()
    check_only_its_user_can_enter(folder)
    assert sockets_outside(folder, search) == []
    token = search.home / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    check_listening(search)
    assert "InvalidAuthToken" in status_with_another_token(search)
    status, out, err = search.end()
    assert (status, err) == (0, "")
    assert "(its token: ray get-auth-token)" in out
    load_export(search.results / "best")
    search.leaves_nothing()


def check_only_its_user_can_enter(folder: Path) -> None:
    """Check a folder whose contents Ray makes writable for everybody."""
    assert not folder.is_symlink()
    status = folder.stat()
    assert status.st_mode & 0o777 == 0o700
    assert status.st_uid == os.getuid()
    assert any(path.is_socket() for path in folder.rglob("*"))  # all of them are in there


def sockets_outside(folder: Path, search: LocalSearch) -> list[str]:
    """Return the named sockets of the search that are not in the folder."""
    outside = set()
    for process in search.note_processes():
        for connection in connections(process, "unix"):
            path = str(connection.laddr)
            is_in_folder = path.startswith(f"{folder}/")
            is_unnamed = path in ("", "None") or path.startswith("@")
            if not is_in_folder and not is_unnamed:
                outside.add(path)
    return sorted(path for path in outside if Path(path).exists() and is_open_to_others(path))


def is_open_to_others(path: str) -> bool:
    """Return whether another user can enter all folders of a path."""
    return all(parent.stat().st_mode & 0o001 for parent in Path(path).parents)


def check_listening(search: LocalSearch) -> None:
    """Check that other machines reach no server but those of Ray's own protocol."""
    listening = {}
    for process in search.note_processes():
        for connection in connections(process, "inet"):
            if connection.status == psutil.CONN_LISTEN:
                listening[connection.laddr.port] = connection.laddr.ip
    assert listening
    routable = []
    for port, address in listening.items():
        if not is_loopback(address):
            routable.append(port)
    assert [port for port in routable if answers_http(port, "/metrics")] == []


def connections(process: psutil.Process, kind: str) -> list[Any]:
    try:
        return list(process.net_connections(kind))
    except psutil.NoSuchProcess:
        return []


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback


def status_with_another_token(search: LocalSearch) -> str:
    """Return the error that the cluster gives a client with a token of its own."""
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    command = [*RAY, "status", "--address", cluster_address(search)]
    status = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert status.returncode != 0
    return status.stderr


def cluster_address(search: LocalSearch) -> str:
    """Return the address of the search's cluster, which its raylet was started with."""
    option = "--gcs-address="
    for process in search.note_processes():
        for argument in process.cmdline():
            if argument.startswith(option):
                return argument.removeprefix(option)
    raise AssertionError("no process of the search has the address of the cluster")
