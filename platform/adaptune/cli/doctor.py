"""The command `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptune.cli.options import AddressOption
from adaptune.spec.storage import StorageSpec

STYLES = {"ok": "green", "warning": "yellow", "fault": "red"}


def doctor(
    address: AddressOption = None,
    out: Annotated[
        Path,
        typer.Option(
            help="where results would go; all nodes of a cluster must be able to write it"
        ),
    ] = Path(StorageSpec.model_fields["out"].default),
) -> None:
    """Check this machine or a cluster before a search."""
    from adaptune.workflows.doctor import findings

    has_fault = False
    with findings(address, out.expanduser().resolve()) as (results, console):
        for finding in results:
            console.print(f"{finding.level:<9}", style=STYLES[finding.level], end="")
            console.print(finding.message, markup=False)
            if finding.level == "fault":
                has_fault = True
    raise typer.Exit(int(has_fault))
