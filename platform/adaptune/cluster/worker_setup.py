"""What each process of a search does first: a module that is quick to import."""

from __future__ import annotations

import os

import ray

HOOK = f"{__name__}.set_ray_address"


def set_ray_address() -> None:
    """Tell Ray's state API which cluster this process belongs to.

    Ray Train asks it whether a lane's controller lives. Unasked, it looks for a cluster on the
    machine: with a second one there, or the trace of one, the answer comes from that, or never.
    """
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
