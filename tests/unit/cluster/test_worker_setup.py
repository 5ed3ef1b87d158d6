from __future__ import annotations

import importlib
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from adaptune.cluster import worker_setup


def test_a_process_tells_rays_state_api_which_cluster_it_belongs_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = SimpleNamespace(gcs_address="10.0.0.1:6379")
    monkeypatch.setattr(worker_setup.ray, "get_runtime_context", lambda: context)
    monkeypatch.setenv("RAY_ADDRESS", "of another cluster")
    worker_setup.set_ray_address()
    assert os.environ["RAY_ADDRESS"] == "10.0.0.1:6379"


def test_the_hook_names_the_function() -> None:
    module, _, name = worker_setup.HOOK.rpartition(".")
    assert getattr(importlib.import_module(module), name) is worker_setup.set_ray_address


def test_a_process_does_not_import_torch_for_its_first_step() -> None:
    script = "import sys, adaptune.cluster.worker_setup; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"
