"""First step of each process of a search; a module that is quick to import."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil
import ray
from ray.util import get_node_ip_address

HOOK = f"{__name__}.prepare_process"
COMPILED = Path("~/.cache/adaptune/compiled")


def prepare_process() -> None:
    """Set the variables that libraries read later; except for `RAY_ADDRESS`, the user's stay."""
    _set_ray_address()
    _set_gloo_interface()
    _keep_compiled_networks()


def _set_ray_address() -> None:
    """Tell Ray's state API which cluster this process belongs to.

    Ray Train asks the API whether the controller of a worker group is alive. Without an address the
    API searches the machine for a cluster. If there is a second one, or traces of one, the answer
    comes from there, or never.
    """
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address


def _set_gloo_interface() -> None:
    """Let gloo listen on the network by which Ray reaches this node.

    gloo would resolve the host name, which is a loopback address on many machines. Workers on other
    nodes could not connect to it.
    """
    address = get_node_ip_address()
    for name, addresses in psutil.net_if_addrs().items():
        if any(entry.address == address for entry in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def _keep_compiled_networks() -> None:
    """Let torch keep compiled networks in the user's cache.

    By default they are in the temporary folder, under a name that other users of the machine know.
    """
    folder = COMPILED.expanduser()
    with suppress(OSError):  # then in the temporary folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
