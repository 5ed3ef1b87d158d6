"""The command `search`."""

from __future__ import annotations

from typing import Annotated

import typer

from adaptune.cli.options import AddressOption


def search(
    space: Annotated[
        str, typer.Option(help="search space file, a path or a name in search_spaces/")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key.path=value, overrides the file")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="number of trials in all")] = None,
    name: Annotated[str | None, typer.Option(help="name of the search and its folder")] = None,
    out: Annotated[str | None, typer.Option(help="folder that holds all results")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="continue an interrupted search")
    ] = False,
    resume_if_begun: Annotated[
        bool,
        typer.Option(
            "--resume-if-begun",
            help="resume if the results folder holds a search, otherwise start one",
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="print plain lines instead of the live view")
    ] = False,
    address: AddressOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the resolved file and the plan")
    ] = False,
) -> None:
    """Search the loss weights."""
    from adaptune.spec import load_spec

    overrides = list(set_ or [])
    for key, value in (("search.trials", trials), ("name", name), ("storage.out", out)):
        if value is not None:
            overrides.append(f"{key}={value}")
    spec = load_spec(space, overrides)
    if dry_run:
        from adaptune.workflows.plan import describe_plan

        print(describe_plan(spec))
        return
    if resume_if_begun and not resume:
        from adaptune.results import lifecycle

        resume = lifecycle.exists(spec)
    from adaptune.workflows.search import run

    result = run(spec, resume=resume, address=address, quiet=quiet)
    if result.export is None or not result.copied:
        raise typer.Exit(1)
