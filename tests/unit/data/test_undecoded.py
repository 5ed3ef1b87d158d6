from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.domains import data_spec, load, write_folder

from adaptune.data import memory
from adaptune.data.domain import RawDomain
from adaptune.data.domain_pair import open_pair
from adaptune.data.undecoded import UndecodedDomain, check_memory
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec


def undecoded(count: int, size: int = 16, channels: int = 3) -> UndecodedDomain:
    """Return a data set that is in memory before its images are prepared."""
    spec = DomainSpec.model_validate({"domain": "mine", "size": size, "channels": channels})
    raw = RawDomain(np.zeros((1, 8, 8), np.uint8), np.zeros(1, np.int64), ("a",))
    return UndecodedDomain(spec, raw, np.zeros(count, np.int64), Path("unused"))


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
        " are split into, need 4.6 MB of memory, but 4.6 MB are available: lower `limit` or `size`"
        " in the section `data`"
    )


def test_images_on_disk_need_no_memory(tmp_path: Path, available: list[int]) -> None:
    available.append(0)
    assert len(load(write_folder(tmp_path, {"cat": 2}), size=16).images) == 2


def test_a_domain_is_checked_before_its_images_are_prepared(available: list[int]) -> None:
    available.append(1797 * 3 * 16 * 16 - 1)
    with pytest.raises(DataError, match=r"images of 16 px with 3 channel\(s\) \(1,797 of optdig"):
        load("optdigits", size=16)
    available.append(1797 * 3 * 16 * 16)
    assert len(load("optdigits", size=16).images) == 1797


def test_both_domains_are_checked_before_the_images_of_one_are_prepared(
    available: list[int],
) -> None:
    spec = data_spec("mnist5k", "optdigits", size=16, channels=1)
    available.append(2 * (5000 + 1797) * 16 * 16 - 1)
    with pytest.raises(DataError, match="and the parts that they are split into"):
        open_pair(spec, seed=0)


def test_all_unreadable_images_of_a_domain_are_in_one_message(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"cat": 5})
    for index in (1, 3):
        (tmp_path / "cat" / f"{index}.png").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        load(name, size=16)
    message = str(caught.value)
    assert message.startswith(f"domain {name}: 2 images cannot be used:\n")
    assert [line.split(" cannot")[0].strip() for line in message.splitlines()[1:]] == [
        str(tmp_path / "cat" / "1.png"),
        str(tmp_path / "cat" / "3.png"),
    ]


def test_an_image_that_is_smaller_than_the_crop_is_named(tmp_path: Path) -> None:
    name = write_folder(tmp_path, {"cat": 1})
    with pytest.raises(DataError, match=r"cat/0\.png: crop 17 px does not fit"):
        load(name, size=16, crop=17)
