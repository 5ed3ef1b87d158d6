from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from adaptune.cluster import worker_setup
from adaptune.cluster.worker_setup import prepare_process

INTERFACES = {"lo": ["127.0.0.1", "::1"], "eth0": ["10.0.0.7", "fe80::1%eth0"], "ib0": ["10.1.0.7"]}
VARIABLES = ("GLOO_SOCKET_IFNAME", "TORCHINDUCTOR_CACHE_DIR")


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Stand in for a node of a cluster at 10.0.0.7."""
    context = SimpleNamespace(gcs_address="10.0.0.1:6379")
    interfaces = {
        name: [SimpleNamespace(address=address) for address in addresses]
        for name, addresses in INTERFACES.items()
    }
    monkeypatch.setattr(worker_setup.ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(worker_setup, "get_node_ip_address", lambda: "10.0.0.7")
    monkeypatch.setattr(worker_setup.psutil, "net_if_addrs", lambda: interfaces)
    monkeypatch.setattr(worker_setup, "COMPILED", tmp_path / "cache" / "compiled")
    with mock.patch.dict(os.environ):
        for name in VARIABLES:
            os.environ.pop(name, None)
        yield


def test_a_process_tells_rays_state_api_which_cluster_it_belongs_to() -> None:
    os.environ["RAY_ADDRESS"] = "of another cluster"
    prepare_process()
    assert os.environ["RAY_ADDRESS"] == "10.0.0.1:6379"


def test_gloo_listens_on_the_interface_by_which_ray_reaches_the_node() -> None:
    prepare_process()
    assert os.environ["GLOO_SOCKET_IFNAME"] == "eth0"


def test_an_address_that_no_interface_has_leaves_the_choice_to_gloo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_setup, "get_node_ip_address", lambda: "127.0.0.2")
    prepare_process()
    assert "GLOO_SOCKET_IFNAME" not in os.environ


def test_compiled_networks_are_kept_where_other_users_cannot_write(tmp_path: Path) -> None:
    prepare_process()
    folder = tmp_path / "cache" / "compiled"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_without_a_home_compiled_networks_are_where_torch_puts_them(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    prepare_process()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


def test_variables_of_the_user_stay() -> None:
    os.environ |= dict.fromkeys(VARIABLES, "mine")
    prepare_process()
    assert [os.environ[name] for name in VARIABLES] == ["mine", "mine"]


def test_the_hook_names_the_function() -> None:
    module, _, name = worker_setup.HOOK.rpartition(".")
    assert getattr(importlib.import_module(module), name) is prepare_process


def test_a_process_does_not_import_torch_for_its_first_step() -> None:
    script = "import sys, adaptune.cluster.worker_setup; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"
