from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from adaptune.data import memory as module
from adaptune.data.memory import available_memory_bytes, peak_memory_bytes, require_memory
from adaptune.errors import DataError

GB = 10**9
MACHINE_BYTES = 8_000
VERSION_2 = {
    "memory.max": "5000\n",
    "memory.current": "4000\n",
    "memory.stat": "anon 2500\nactive_file 1000\ninactive_file 500\n",
}
VERSION_1 = {
    "memory/memory.limit_in_bytes": "5000\n",
    "memory/memory.usage_in_bytes": "4000\n",
    "memory/memory.stat": "active_file 1\ntotal_active_file 1000\ntotal_inactive_file 700\n",
}


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the container's limits, on a machine with `MACHINE_BYTES` available."""
    monkeypatch.setattr(module, "_CGROUP", tmp_path)
    memory = SimpleNamespace(available=MACHINE_BYTES)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: memory)
    return tmp_path


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def test_without_a_container_the_memory_is_the_machines(cgroup: Path) -> None:
    assert available_memory_bytes() == MACHINE_BYTES


@pytest.mark.parametrize(("files", "free"), [(VERSION_2, 2500), (VERSION_1, 2700)])
def test_a_container_has_its_limit_without_its_usage_except_for_the_page_cache(
    files: Mapping[str, str], free: int, cgroup: Path
) -> None:
    write(cgroup, files)
    assert available_memory_bytes() == free


@pytest.mark.parametrize(
    "files",
    [
        VERSION_2 | {"memory.max": "max\n"},
        VERSION_1 | {"memory/memory.limit_in_bytes": "9223372036854771712\n"},
        VERSION_2 | {"memory.max": "50000\n"},  # more than the machine has left
    ],
)
def test_a_container_without_a_limit_of_its_own_has_the_machines_memory(
    files: Mapping[str, str], cgroup: Path
) -> None:
    write(cgroup, files)
    assert available_memory_bytes() == MACHINE_BYTES


def test_a_container_over_its_limit_has_no_memory(cgroup: Path) -> None:
    write(cgroup, VERSION_2 | {"memory.current": "9000\n"})
    assert available_memory_bytes() == 0


def test_too_little_memory_is_refused_with_both_amounts_and_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "available_memory_bytes", lambda: 8 * GB)
    require_memory(8 * GB, "images", "lower `limit`")
    with pytest.raises(DataError) as caught:
        require_memory(8 * GB + 10**8, "images", "lower `limit`")
    assert str(caught.value) == (
        "images need 8.1 GB of memory, but 8.0 GB are available: lower `limit`"
    )


def test_the_peak_of_this_process_is_the_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path / "status"
    status.write_text("VmPeak:\t  9000 kB\nVmHWM:\t  2000 kB\nVmRSS:\t  1000 kB\n")
    monkeypatch.setattr(module, "_PROCESS_STATUS", status)
    assert peak_memory_bytes() == 2000 * 1024


@pytest.mark.parametrize("text", [None, "Name:\tpython\n"])
def test_without_the_kernels_figure_the_present_memory_counts(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path / "status"
    if text is not None:
        status.write_text(text)
    monkeypatch.setattr(module, "_PROCESS_STATUS", status)
    memory = SimpleNamespace(rss=77)
    monkeypatch.setattr(
        module.psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: memory)
    )
    assert peak_memory_bytes() == 77
