"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

AddressOption = Annotated[
    str | None, typer.Option(help="address of a running Ray cluster (default: start a local one)")
]
SeedsOption = Annotated[int, typer.Option(min=2, help="number of new seeds")]
