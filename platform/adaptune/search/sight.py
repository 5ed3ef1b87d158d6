"""What a process on a node finds: a module that is quick to import, for each node to do so."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from adaptune import __version__


@dataclass(frozen=True)
class Sight:
    """What there is on a node."""

    versions: dict[str, str]
    gpus: bool  # whether its torch is built for them, where it has any
    sees: bool  # the file that was asked for


def look_around(mark: str | None, has_gpus: bool) -> Sight:
    """To be run on the node.

    Args:
        mark: the path of a file to look for.
    """
    gpus = True
    if has_gpus:
        import torch

        gpus = torch.backends.cuda.is_built()
    return Sight(versions(), gpus, mark is None or Path(mark).exists())


def versions() -> dict[str, str]:
    """Of what had better be the same on all nodes, without what it was built for (`+cu128`)."""
    found = {"python": platform.python_version(), "adaptune": __version__}
    return found | {package: version(package).partition("+")[0] for package in ("torch", "torchvision", "ray")}
