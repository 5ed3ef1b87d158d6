"""The built-in digits, the names, and torchvision's sets."""

from __future__ import annotations

import bz2
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from adaptune.data import registry
from adaptune.data.digits import FIRST_HALF, SECOND_HALF, mnist5k, mnistm5k
from adaptune.data.domain_pair import load_pair
from adaptune.errors import DataError
from adaptune.spec.schema import DataSpec, DomainSpec


def load(name: str, root: Path = Path("unused"), seed: int = 0, **form: object) -> registry.Domain:
    return registry.load_domain(
        DomainSpec.model_validate({"domain": name, **form}), root=root, seed=seed
    )


def data_spec(source: str, target: str, **form: object) -> DataSpec:
    return DataSpec.model_validate(
        {"source": {"domain": source, **form}, "target": {"domain": target, **form}}
    )


@pytest.mark.parametrize(
    ("name", "size"), [("mnist5k", 5000), ("mnistm5k", 5000), ("optdigits", 1797)]
)
def test_built_in_digits_load_in_the_common_form(name: str, size: int) -> None:
    domain = load(name, channels=1, size=32)
    assert domain.images.shape == (size, 1, 32, 32)
    assert domain.images.dtype == np.uint8
    assert domain.labels.dtype == np.int64
    assert domain.class_names == tuple("0123456789")
    assert set(domain.labels) == set(range(10))
    assert domain.images.max() > 200


def test_the_halves_of_mnist5k_are_stratified_and_share_no_digit() -> None:
    first, second = mnist5k(FIRST_HALF), mnist5k(SECOND_HALF)
    assert np.bincount(first.labels).tolist() == np.bincount(second.labels).tolist() == [250] * 10
    assert not {image.tobytes() for image in first.images} & {
        image.tobytes() for image in second.images
    }


def test_mnistm5k_is_the_difference_of_a_photograph_and_the_digit() -> None:
    digits, blended = mnist5k(), mnistm5k(seed=0)
    off = digits.images == 0
    on = digits.images == 255
    assert blended.images.shape == (5000, 28, 28, 3)
    # Where the digit is full, the photograph appears as its negative.
    assert abs(blended.images[off].mean() + blended.images[on].mean() - 255) < 10


def test_mnistm5k_depends_on_the_seed_alone() -> None:
    whole = mnistm5k(seed=1)
    assert np.array_equal(mnistm5k(seed=1, digits=SECOND_HALF).images, whole.images[SECOND_HALF])
    assert not np.array_equal(mnistm5k(seed=2).images, whole.images)


@pytest.mark.parametrize(
    "names", [("mnist5k", "mnistm5k"), ("mnistm5k", "mnist5k"), ("mnist5k", "mnist5k")]
)
def test_domains_made_of_the_same_digits_take_one_half_each(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    real = registry._load_raw
    monkeypatch.setattr(registry, "_load_raw", lambda *args: taken.append(args[3]) or real(*args))
    source, target = load_pair(data_spec(*names, size=16), seed=0)
    assert taken == [FIRST_HALF, SECOND_HALF]
    assert len(source.labels) == len(target.labels) == 2500


def test_mnist5k_is_whole_beside_another_domain() -> None:
    source, target = load_pair(data_spec("mnist5k", "optdigits", size=16), seed=0)
    assert (len(source.labels), len(target.labels)) == (5000, 1797)


def test_mnist_beside_its_own_excerpt_is_refused() -> None:
    with pytest.raises(DataError, match="take mnist5k in place of mnist"):
        load_pair(data_spec("mnist", "mnistm5k"), seed=0)


def test_limit_is_stratified_and_seeded() -> None:
    some = load("mnist5k", limit=200, size=16)
    assert np.bincount(some.labels).tolist() == [20] * 10
    assert np.array_equal(load("mnist5k", limit=200, size=16).images, some.images)
    assert not np.array_equal(load("mnist5k", limit=200, size=16, seed=1).images, some.images)


def test_an_unknown_name_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(
        DataError, match=r"Did you mean 'mnistm5k'\?.*mnist5k.*optdigits.*parquet:PATH"
    ):
        load("mnistm5kk")


@pytest.mark.parametrize(
    "name", ["nothing-like-it", "mnist5k:x", "imagefolder", "parquet:", "imagefolder:"]
)
def test_a_name_that_is_not_complete_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="domain"):
        registry.check_name(name)


def test_every_name_is_described() -> None:
    assert list(registry.describe()) == registry.names()
    assert {"mnist5k", "optdigits", "mnistm5k", "mnist", "usps", "svhn"} <= set(registry.names())


def test_a_crop_larger_than_the_image_names_the_domain() -> None:
    with pytest.raises(DataError, match="optdigits: crop 20 px does not fit an image of 8 × 8"):
        load("optdigits", crop=20)


def test_importing_loads_no_data_library() -> None:
    code = (
        "import sys, adaptune.data.splits;"
        "sys.exit(any(name in sys.modules for name in ('mlxtend', 'sklearn', 'torchvision', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_usps_is_read_from_its_raw_file_without_a_connection(tmp_path: Path) -> None:
    line = "{} " + " ".join(
        f"{i + 1}:{value}" for i, value in enumerate([-1.0] * 128 + [1.0] * 128)
    )
    (tmp_path / "usps.bz2").write_bytes(
        bz2.compress(f"{line.format(1)}\n{line.format(10)}\n".encode())
    )
    domain = load("usps", root=tmp_path, size=16, channels=1)
    assert domain.labels.tolist() == [0, 9]
    assert domain.images[0, 0, 0, 0] == 0
    assert domain.images[0, 0, 15, 15] == 255


def test_mnist_is_read_from_its_raw_files_without_a_connection(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images, labels = np.full((2, 28, 28), 7, np.uint8), np.array([3, 8], np.uint8)
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(
                n.to_bytes(4, "big") for n in array.shape
            )
            (raw / f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())
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
    ("name", "files"),
    [("MNIST", "train-images-idx3"), ("USPS", "usps.bz2"), ("SVHN", "train_32x32")],
)
def test_a_failed_download_says_where_to_put_the_files(
    name: str, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(root: str, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(f"torchvision.datasets.{name}", unreachable)
    with pytest.raises(DataError, match="no route to host") as failure:
        load(name.lower(), root=tmp_path)
    assert files in str(failure.value)
    assert str(tmp_path) in str(failure.value)


def test_loading_draws_nothing_from_the_global_generators() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    load("mnistm5k", limit=50, size=16)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
