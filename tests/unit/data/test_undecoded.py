from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.domains import data_spec, load, write_folder

from adaptune.data import memory
from adaptune.data.domain import RawDomain, StoredImage
from adaptune.data.domain_pair import load_pair
from adaptune.data.undecoded import UndecodedDomain, check_memory
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec


def undecoded(count: int, size: int = 16, channels: int = 3) -> UndecodedDomain:
    """Return a data set with an image that fails the test if it is decoded."""

    def decode() -> StoredImage:
        raise AssertionError("decoded")

    spec = DomainSpec.model_validate({"domain": "mine", "size": size, "channels": channels})
    raw = RawDomain([decode], np.zeros(1, np.int64), ("a",))
    return UndecodedDomain(spec, raw, np.zeros(count, np.int64))


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The available memory in bytes, as the last item of a list."""
    amounts = [0]
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: amounts[-1])
    return amounts


def test_an_image_needs_a_byte_per_channel_of_a_pixel() -> None:
    assert undecoded(10, size=64, channels=1).nbytes == 10 * 64 * 64
    assert undecoded(10, size=64, channels=3).nbytes == 10 * 3 * 64 * 64


def test_data_sets_are_refused_before_decoding_if_they_do_not_fit(available: list[int]) -> None:
    domains = [undecoded(2000), undecoded(1000)]
    available.append(2 * 3000 * 768)
    check_memory(domains, copies=2)
    available.append(2 * 3000 * 768 - 1)
    check_memory(domains)
    with pytest.raises(DataError) as caught:
        check_memory(domains, copies=2)
    assert str(caught.value) == (
        "images of 16 px with 3 channel(s) (2,000 of mine, 1,000 of mine), and the parts that they"
        " are split into, need 0.0 GB of memory, but 0.0 GB are available: lower `limit` or `size`"
        " in the section `data`"
    )


def test_a_domain_is_checked_before_its_images_are_decoded(
    tmp_path: Path, available: list[int]
) -> None:
    name = write_folder(tmp_path, {"cat": 2})
    (tmp_path / "cat" / "0.png").write_bytes(b"no image")
    available.append(2 * 3 * 16 * 16 - 1)
    with pytest.raises(DataError, match=r"images of 16 px with 3 channel\(s\) \(2 of imagefolder"):
        load(name, size=16)
    available.append(2 * 3 * 16 * 16)
    with pytest.raises(DataError, match=r"0\.png cannot be read"):
        load(name, size=16)


def test_both_domains_are_checked_before_the_images_of_one_are_decoded(
    tmp_path: Path, available: list[int]
) -> None:
    source = write_folder(tmp_path / "source", {"cat": 1, "dog": 1})
    target = write_folder(tmp_path / "target", {"cat": 2, "dog": 1})
    (tmp_path / "source" / "cat" / "0.png").write_bytes(b"no image")
    spec = data_spec(source, target, size=16)
    available.append(2 * 5 * 3 * 16 * 16 - 1)
    with pytest.raises(DataError, match="and the parts that they are split into"):
        load_pair(spec, seed=0)
    available.append(2 * 5 * 3 * 16 * 16)
    with pytest.raises(DataError, match=r"0\.png cannot be read"):
        load_pair(spec, seed=0)
