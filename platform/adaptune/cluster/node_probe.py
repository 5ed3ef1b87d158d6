"""Check of one node, run on the node; a module that is quick to import."""

from __future__ import annotations

import platform
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from adaptune.version import __version__

PROBE_PREFIX = ".probe-"
VISIBILITY_TIMEOUT_S = 10.0  # shared file systems show other machines' files with some delay
POLL_S = 0.5


@dataclass(frozen=True)
class NodeProbe:
    """Result of a check on a node.

    Attributes:
        versions: version of Python and of each package that nodes should agree on.
        torch_supports_cuda: whether torch is built for GPUs; None if it was not checked.
        storage_error: why the node cannot write to the results folder, or None if it can.
    """

    versions: dict[str, str]
    torch_supports_cuda: bool | None
    storage_error: str | None


def probe_node(probe_file: str | None, *, check_torch: bool) -> NodeProbe:
    """Check the node that this process runs on.

    Args:
        probe_file: an existing file in the results folder; the node tries to create another one
            next to it. None skips the check.
        check_torch: whether to import torch, which takes a second.
    """
    torch_supports_cuda = None
    if check_torch:
        import torch

        torch_supports_cuda = torch.backends.cuda.is_built()
    storage_error = None
    if probe_file is not None:
        storage_error = _storage_error(Path(probe_file))
    return NodeProbe(versions(), torch_supports_cuda, storage_error)


def versions() -> dict[str, str]:
    """Return the versions that nodes should agree on, without build suffixes such as `+cu128`."""
    numbers = {"python": platform.python_version(), "adaptune": __version__}
    for package in ("torch", "torchvision", "ray"):
        numbers[package] = version(package).partition("+")[0]
    return numbers


def _storage_error(probe_file: Path) -> str | None:
    deadline = time.monotonic() + VISIBILITY_TIMEOUT_S
    while True:
        try:
            probe_file.stat()
            with tempfile.TemporaryFile(dir=probe_file.parent, prefix=PROBE_PREFIX):
                return None
        except OSError as error:
            if time.monotonic() >= deadline:
                return error.strerror or str(error)
        time.sleep(POLL_S)
