"""What a process on a node finds: a module that is quick to import, for each node to do so."""

from __future__ import annotations

import platform
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from adaptune import __version__

PREFIX = ".seen-"
PATIENCE_S = 10.0  # file systems show other machines' files with some delay
POLL_S = 0.5


@dataclass(frozen=True)
class NodeProbe:
    """What there is on a node."""

    versions: dict[str, str]
    torch_for_gpus: bool | None  # None: nobody asked
    storage_error: str  # why the results are, nothing where they are not


def probe_node(mark: str | None, *, ask_torch: bool) -> NodeProbe:
    """To be run on the node.

    Args:
        mark: the path of a file among the results, which were to be written beside it.
    """
    torch_for_gpus = None
    if ask_torch:
        import torch

        torch_for_gpus = torch.backends.cuda.is_built()
    return NodeProbe(versions(), torch_for_gpus, "" if mark is None else _out_of_reach(Path(mark)))


def _out_of_reach(mark: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            mark.stat()
            with tempfile.TemporaryFile(dir=mark.parent, prefix=PREFIX):
                return ""
        except OSError as error:
            if time.monotonic() >= deadline:
                return error.strerror or str(error)
        time.sleep(POLL_S)


def versions() -> dict[str, str]:
    """Of what had better be the same on all nodes, without what it was built for (`+cu128`)."""
    found = {"python": platform.python_version(), "adaptune": __version__}
    return found | {
        package: version(package).partition("+")[0] for package in ("torch", "torchvision", "ray")
    }
