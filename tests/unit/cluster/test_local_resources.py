from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from adaptune.cluster import local_resources as module
from adaptune.cluster.local_resources import (
    free_shared_memory_bytes,
    local_cpus,
    local_resources,
)


def test_a_local_cluster_has_the_cpus_and_gpus_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "local_cpus", lambda: 6)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert local_resources() == {"CPU": 6.0, "GPU": 2.0}


def test_a_process_counts_the_cpus_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.joblib, "cpu_count", lambda: 3)
    assert local_cpus() == 3


def test_shared_memory_is_counted_by_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    usages = {"/dev/shm": SimpleNamespace(total=100, used=40, free=60)}
    monkeypatch.setattr(module.shutil, "disk_usage", usages.__getitem__)
    assert free_shared_memory_bytes() == 60
