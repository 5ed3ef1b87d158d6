"""Checks of this machine and of a cluster, for the command `doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from adaptune.cluster.connection import connect
from adaptune.cluster.doctor import Finding, check_machine, check_nodes
from adaptune.cluster.output import redirect_output
from adaptune.errors import ResourceError
from adaptune.spec.resources import ResourcesSpec


@contextmanager
def findings(address: str | None, out: Path) -> Iterator[tuple[Iterator[Finding], Console]]:
    """Yield the findings as they are made, and a console that Ray does not write to.

    Args:
        address: address of a running Ray cluster; None starts a local one.
        out: folder in which the results would be stored; it need not exist.
    """
    with redirect_output(Path(os.devnull)) as console:
        yield _findings(address, out), console


def _findings(address: str | None, out: Path) -> Iterator[Finding]:
    """Yield the findings on this machine, then those on the cluster's nodes."""
    folder = next(path for path in (out, *out.parents) if path.is_dir())
    yield from check_machine(folder)
    shared_folder = folder if os.access(folder, os.W_OK) else None
    try:
        with connect(address, "doctor", requests_nodes=False):
            yield from check_nodes(shared_folder, ResourcesSpec())
    except ResourceError as error:
        yield Finding("fault", str(error))
