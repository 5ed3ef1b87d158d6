from __future__ import annotations

import bz2
import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from support.domains import load

from adaptune.data import torchvision_digits
from adaptune.errors import DataError


def idx(array: npt.NDArray[np.uint8]) -> bytes:
    """Encode an array in the IDX format of MNIST."""
    header = bytes([0, 0, 8, array.ndim])
    for size in array.shape:
        header += size.to_bytes(4, "big")
    return header + array.tobytes()


def test_usps_is_read_from_its_raw_file_without_a_connection(tmp_path: Path) -> None:
    pixels = [-1.0] * 128 + [1.0] * 128
    line = " ".join(f"{number}:{value}" for number, value in enumerate(pixels, start=1))
    (tmp_path / "usps.bz2").write_bytes(bz2.compress(f"1 {line}\n10 {line}\n".encode()))
    domain = load("usps", root=tmp_path, size=16, channels=1)
    assert domain.labels.tolist() == [0, 9]
    assert domain.images[0, 0, 0, 0] == 0
    assert domain.images[0, 0, 15, 15] == 255


def test_mnist_is_read_from_its_raw_files_without_a_connection(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    domain = load("mnist", root=tmp_path, size=32)
    assert domain.labels.tolist() == [3, 8]
    assert domain.images.shape == (2, 3, 32, 32)
    assert (domain.images == 7).all()


def test_svhn_is_taken_as_torchvision_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.zeros((2, 3, 32, 32), np.uint8)
    data[:, 2] = 200
    fake = SimpleNamespace(data=data, labels=np.array([0, 5]))
    monkeypatch.setattr("torchvision.datasets.SVHN", lambda root, **kwargs: fake)
    domain = load("svhn", root=tmp_path)
    assert np.array_equal(domain.images, data)
    assert domain.labels.tolist() == [0, 5]


def test_the_test_splits_are_domains_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    write_mnist(raw)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([1, 2], np.uint8)))
    (tmp_path / "usps.t.bz2").write_bytes(USPS_FILE)
    fake = SimpleNamespace(data=np.zeros((1, 3, 32, 32), np.uint8), labels=np.array([4]))
    monkeypatch.setattr("torchvision.datasets.SVHN", lambda root, **kwargs: fake)
    assert load("mnist:test", root=tmp_path, size=32).labels.tolist() == [1, 2]
    assert load("usps:test", root=tmp_path, size=16).labels.tolist() == [0, 9] * 50
    assert load("svhn:test", root=tmp_path).labels.tolist() == [4]


def write_mnist(raw: Path) -> None:
    """Write the four files of MNIST, of two digits."""
    raw.mkdir(parents=True)
    images, labels = np.full((2, 28, 28), 7, np.uint8), np.array([3, 8], np.uint8)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))


USPS_LINE = " ".join(f"{number}:0.5" for number in range(1, 257))
USPS_FILE = bz2.compress(f"1 {USPS_LINE}\n10 {USPS_LINE}\n".encode() * 50)


class Server(ThreadingHTTPServer):
    """Serves `usps.bz2`, of which it sends `length` bytes and then nothing until it is closed."""

    daemon_threads = True

    def __init__(self, length: int) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.length = length
        self.closing = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/usps.bz2"


class Answer(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(USPS_FILE)))
        self.end_headers()

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        self.do_HEAD()
        self.wfile.write(USPS_FILE[: server.length])
        self.wfile.flush()
        if server.length < len(USPS_FILE):
            server.closing.wait(60)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Server]]:
    """Starts a server of USPS that sends so many bytes."""
    from torchvision.datasets import USPS

    servers = []

    def start(length: int) -> Server:
        server = Server(length)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        md5 = hashlib.md5(USPS_FILE, usedforsecurity=False).hexdigest()
        monkeypatch.setitem(USPS.split_list, "train", [server.url, "usps.bz2", md5])
        return server

    monkeypatch.setattr(torchvision_digits, "TIMEOUT_S", 0.5)
    yield start
    for server in servers:
        server.closing.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("length", [0, 100])
def test_a_server_that_falls_silent_ends_the_download(
    length: int, tmp_path: Path, serve: Callable[[int], Server]
) -> None:
    serve(length)
    before = time.monotonic()
    with pytest.raises(DataError, match="timed out") as failure:
        load("usps", root=tmp_path)
    assert time.monotonic() - before < 20
    assert "Try again; or, without a connection, put usps.bz2 into" in str(failure.value)
    assert socket.getdefaulttimeout() is None


def test_an_interrupted_download_is_repaired(
    tmp_path: Path, serve: Callable[[int], Server]
) -> None:
    serve(100)
    with pytest.raises(DataError):
        load("usps", root=tmp_path)
    assert (tmp_path / "usps.bz2").stat().st_size <= 100
    serve(len(USPS_FILE))
    assert len(load("usps", root=tmp_path, size=16).labels) == 100
    assert (tmp_path / "usps.bz2.damaged").stat().st_size <= 100
    assert (tmp_path / "usps.bz2").read_bytes() == USPS_FILE


@pytest.mark.parametrize("length", [0, 3, 10, 16, 17, 1000])
def test_truncated_files_of_mnist_are_set_aside_and_downloaded_again(
    length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import MNIST

    raw = tmp_path / "MNIST" / "raw"
    write_mnist(raw)
    images = raw / "train-images-idx3-ubyte"
    complete = images.read_bytes()
    images.write_bytes(complete[:length])

    def download(self: MNIST) -> None:
        if not images.exists():
            images.write_bytes(complete)
            (raw / "train-labels-idx1-ubyte.damaged").rename(raw / "train-labels-idx1-ubyte")

    monkeypatch.setattr(MNIST, "download", download)
    assert load("mnist", root=tmp_path, size=32).labels.tolist() == [3, 8]
    assert images.with_name("train-images-idx3-ubyte.damaged").read_bytes() == complete[:length]


def test_files_that_may_not_be_read_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    write_mnist(raw)

    def refuse(root: str, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("torchvision.datasets.MNIST", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        load("mnist", root=tmp_path)
    assert len(list(raw.iterdir())) == 4


@pytest.mark.parametrize(
    ("domain", "split"),
    [
        ("mnist", {"train": True}),
        ("usps", {"train": True}),
        ("svhn", {"split": "train"}),
        ("mnist:test", {"train": False}),
        ("usps:test", {"train": False}),
        ("svhn:test", {"split": "test"}),
    ],
)
def test_the_split_of_the_domain_is_downloaded_into_a_new_folder(
    domain: str, split: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def record(root: str, **kwargs: object) -> None:
        calls.append((root, kwargs))
        raise OSError("enough")

    name = domain.partition(":")[0].upper()
    monkeypatch.setattr(f"torchvision.datasets.{name}", record)
    root = tmp_path / "new" / "folder"
    with pytest.raises(DataError):
        load(domain, root=root)
    assert calls == [(str(root), {"download": True} | split)]
    assert root.is_dir()


@pytest.mark.parametrize(
    ("domain", "files"),
    [
        ("mnist", "train-images-idx3"),
        ("usps", "usps.bz2"),
        ("svhn", "train_32x32"),
        ("mnist:test", "t10k"),
        ("usps:test", "usps.t.bz2"),
        ("svhn:test", "test_32x32"),
    ],
)
def test_a_failed_download_explains_where_to_put_the_files(
    domain: str, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(root: str, **kwargs: object) -> None:
        raise OSError("no route to host")

    name = domain.partition(":")[0].upper()
    monkeypatch.setattr(f"torchvision.datasets.{name}", unreachable)
    with pytest.raises(DataError, match="no route to host") as failure:
        load(domain, root=tmp_path)
    assert files in str(failure.value)
    assert str(tmp_path) in str(failure.value)
