"""The command line: registration of the commands, and exit status."""

from __future__ import annotations

import sys

import typer

from adaptune.cli.doctor import doctor
from adaptune.cli.export import evaluate, export, predict, translate
from adaptune.cli.inspect import datasets, report, status
from adaptune.cli.replicate import ablate, confirm
from adaptune.cli.schema import schema
from adaptune.cli.search import search
from adaptune.errors import BAD_INPUT, AdaptuneError, InterruptedSearchError

COMMANDS = (
    search,
    status,
    report,
    confirm,
    ablate,
    evaluate,
    export,
    predict,
    translate,
    datasets,
    doctor,
    schema,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run a command; print an expected error as one message without a traceback.

    Exit status: 0 done, 1 the search failed, 2 bad input, 128 + signal number after a signal.
    """
    try:
        app()
    except AdaptuneError as error:
        if isinstance(error, InterruptedSearchError):
            print(file=sys.stderr)  # the terminal has printed ^C
        print(f"adaptune: {error}", file=sys.stderr)
        sys.exit(exit_status(error))


def exit_status(error: AdaptuneError) -> int:
    """Return the exit status for an error."""
    if isinstance(error, BAD_INPUT):
        return 2
    if isinstance(error, InterruptedSearchError):
        return 128 + error.signal_number
    return 1


def run_search_script() -> None:
    """Run `adaptune search …` for `python run_search.py …`."""
    sys.argv.insert(1, "search")
    main()
