from __future__ import annotations

import bz2
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from support.domains import load

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
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images, labels = np.full((2, 28, 28), 7, np.uint8), np.array([3, 8], np.uint8)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
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


@pytest.mark.parametrize(
    ("name", "split"),
    [("MNIST", {"train": True}), ("USPS", {"train": True}), ("SVHN", {"split": "train"})],
)
def test_the_training_split_is_downloaded_into_a_new_folder(
    name: str, split: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def record(root: str, **kwargs: object) -> None:
        calls.append((root, kwargs))
        raise OSError("enough")

    monkeypatch.setattr(f"torchvision.datasets.{name}", record)
    root = tmp_path / "new" / "folder"
    with pytest.raises(DataError):
        load(name.lower(), root=root)
    assert calls == [(str(root), {"download": True} | split)]
    assert root.is_dir()


@pytest.mark.parametrize(
    ("name", "files"),
    [("MNIST", "train-images-idx3"), ("USPS", "usps.bz2"), ("SVHN", "train_32x32")],
)
def test_a_failed_download_explains_where_to_put_the_files(
    name: str, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(root: str, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(f"torchvision.datasets.{name}", unreachable)
    with pytest.raises(DataError, match="no route to host") as failure:
        load(name.lower(), root=tmp_path)
    assert files in str(failure.value)
    assert str(tmp_path) in str(failure.value)
