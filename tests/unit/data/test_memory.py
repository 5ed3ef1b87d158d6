from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from adaptune.data import memory
from adaptune.data.memory import available_bytes, require_memory
from adaptune.errors import DataError

GB = 10**9


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a control group on a machine with 8 GB of available memory."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GB))
    return tmp_path


def limit(cgroup: Path, maximum: str, used: int, cached: int) -> None:
    (cgroup / "memory.max").write_text(f"{maximum}\n")
    (cgroup / "memory.current").write_text(f"{used}\n")
    (cgroup / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\nactive_file 7\n")


def test_a_machine_without_control_groups_has_its_available_memory(cgroup: Path) -> None:
    assert available_bytes() == 8 * GB


def test_a_container_has_its_limit_less_what_it_uses_for_other_than_cached_files(
    cgroup: Path,
) -> None:
    limit(cgroup, str(4 * GB), used=3 * GB, cached=GB)
    assert available_bytes() == 2 * GB


@pytest.mark.parametrize("maximum", ["max", str(64 * GB)])
def test_a_container_with_a_higher_or_no_limit_has_the_memory_of_its_machine(
    cgroup: Path, maximum: str
) -> None:
    limit(cgroup, maximum, used=GB, cached=0)
    assert available_bytes() == 8 * GB


def test_a_container_over_its_limit_has_no_memory(cgroup: Path) -> None:
    limit(cgroup, str(GB), used=2 * GB, cached=0)
    assert available_bytes() == 0


def test_too_little_memory_is_refused_with_both_amounts_and_advice(cgroup: Path) -> None:
    require_memory(8 * GB, "images", "lower `limit`")
    with pytest.raises(DataError) as caught:
        require_memory(8 * GB + 10**8, "images", "lower `limit`")
    assert str(caught.value) == (
        "images need 8.1 GB of memory, but 8.0 GB are available: lower `limit`"
    )
