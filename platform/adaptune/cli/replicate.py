"""The commands `confirm` and `ablate`."""

from __future__ import annotations

from typing import Annotated

import typer

from adaptune.cli.arguments import ResultsArgument
from adaptune.cli.options import AddressOption, SeedsOption


def confirm(
    results: ResultsArgument,
    top: Annotated[int, typer.Option(min=1, help="number of best configurations")] = 3,
    trial: Annotated[
        list[int] | None,
        typer.Option(help="number of a further trial to train and compare; may be repeated"),
    ] = None,
    seeds: SeedsOption = 5,
    address: AddressOption = None,
) -> None:
    """Train the best trials again under new seeds.

    The comparison with the baselines tells whether adaptation helps, and the comparison with the
    best start point, which is trained too, what the search added.

    If the command is interrupted, run it again to continue.
    """
    from adaptune.workflows import replicate

    replication = replicate.confirm(
        results, top=top, trials=trial or (), seeds=seeds, address=address
    )
    if not replication.copied:
        raise typer.Exit(1)


def ablate(results: ResultsArgument, seeds: SeedsOption = 3, address: AddressOption = None) -> None:
    """Train the best trial without each of its parts.

    Each configuration is trained under several new seeds.

    If the command is interrupted, run it again to continue.
    """
    from adaptune.workflows import replicate

    replication = replicate.ablate(results, seeds=seeds, address=address)
    if not replication.copied:
        raise typer.Exit(1)
