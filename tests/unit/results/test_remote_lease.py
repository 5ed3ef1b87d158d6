from __future__ import annotations

from pathlib import Path

import pytest

from adaptune.results.lease import Holder
from adaptune.results.remote_lease import RemoteLease

HOLDER = Holder("a", "node-7", "machine", 4711, 3)


def test_a_lease_is_an_object_next_to_the_copy(tmp_path: Path) -> None:
    place = RemoteLease((tmp_path / "store").as_uri())
    assert place.name == (tmp_path / "store").as_uri()
    assert place.read() is None
    place.write(HOLDER)
    assert place.read() == HOLDER
    assert [file.name for file in (tmp_path / "store").iterdir()] == ["driver.json"]
    place.write(None)
    assert place.read() is None
    assert not any((tmp_path / "store").iterdir())
    place.write(None)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[]", b'{"id": "a"}'])
def test_a_damaged_lease_counts_as_none(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "driver.json").write_bytes(text)
    assert RemoteLease(tmp_path.as_uri()).read() is None


def test_a_store_that_does_not_answer_is_no_free_place(tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    place = RemoteLease((tmp_path / "store").as_uri())
    with pytest.raises(OSError, match="store"):
        place.read()
