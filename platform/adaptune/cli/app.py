"""The command line."""

from __future__ import annotations

import sys

import typer

from adaptune.cli.inspect import VERBS
from adaptune.cli.search import RUNS
from adaptune.errors import BAD_INPUT, AdaptuneError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for verb in (*RUNS, *VERBS):
    app.command()(verb)


def main() -> None:
    """Run, and turn what a user can get wrong into one readable message and exit status 2."""
    try:
        app()
    except BAD_INPUT as error:
        print(f"adaptune: {error}", file=sys.stderr)
        sys.exit(2)
    except AdaptuneError as error:
        print(f"adaptune: {error}", file=sys.stderr)
        sys.exit(1)


def run_search_script() -> None:
    """`python run_search.py …` is `adaptune search …`."""
    sys.argv.insert(1, "search")
    main()
