"""First step of each process of a search; a module that is quick to import."""

from __future__ import annotations

import os

import ray

HOOK = f"{__name__}.set_ray_address"


def set_ray_address() -> None:
    """Tell Ray's state API which cluster this process belongs to.

    Ray Train asks the API whether the controller of a worker group is alive. Without an address the
    API searches the machine for a cluster. If there is a second one, or traces of one, the answer
    comes from there, or never.
    """
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
