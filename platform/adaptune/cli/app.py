"""The command line: registration of the commands, and exit status."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import suppress

import typer

from adaptune.cli.data import datasets, inspect
from adaptune.cli.doctor import doctor
from adaptune.cli.export import evaluate, export, predict, translate
from adaptune.cli.replicate import ablate, confirm
from adaptune.cli.results import report, status
from adaptune.cli.schema import schema
from adaptune.cli.search import search
from adaptune.cli.steering import add_trials, finish, stop_trial, try_setting
from adaptune.cli.watch import watch
from adaptune.cluster.output import flush_or_drop, open_missing_streams
from adaptune.errors import BAD_INPUT, AdaptuneError, InterruptedSearchError
from adaptune.signals import (
    StopRequest,
    set_stop_message,
    stop_message,
    stop_number,
    stop_on_signals,
)

COMMANDS = (
    search,
    status,
    watch,
    stop_trial,
    try_setting,
    add_trials,
    finish,
    report,
    confirm,
    ablate,
    evaluate,
    export,
    predict,
    translate,
    datasets,
    inspect,
    doctor,
    schema,
)
TRAINING = (search, confirm, ablate)


def name_of(command: Callable[..., None]) -> str:
    """Return the name of a command, which need not be one that Python allows for a function."""
    if command is try_setting:
        return "try"
    return command.__name__.replace("_", "-")


def _stoppable(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that reports a signal by an error; Typer would hide which one it was."""

    @functools.wraps(command)
    def run(*arguments: object, **options: object) -> None:
        if command in TRAINING:  # later, the session sets another message
            set_stop_message(
                "stopped before training began; nothing was written: run the command again"
            )
        try:
            command(*arguments, **options)
        except InterruptedSearchError:
            raise
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            number = stop_number(error)
            if number is None:
                raise
            raise InterruptedSearchError(stop_message(), number) from None

    return run


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in COMMANDS:
    app.command(name_of(command))(_stoppable(command))


def main() -> None:
    """Run a command; print an expected error as one message without a traceback.

    Exit status: 0 done, 1 the search failed, 2 bad input, 128 + signal number after a signal.
    """
    open_missing_streams()
    try:
        with stop_on_signals():
            status = _run_stoppable()
    except StopRequest as stop:  # at the very end
        status = 128 + stop.signal_number
    sys.exit(status)


def _run_stoppable() -> int:
    """Run the command; a stop signal decides over the exit status of a command that failed."""
    try:
        status = _run()
        lost_output = flush_or_drop()
        if status == 0 and lost_output is not None and not isinstance(lost_output, BrokenPipeError):
            status = _report_lost_output(lost_output)
    except (Exception, KeyboardInterrupt) as error:
        if stop_number(error) is None:
            raise
        status = 1
    number = stop_number()
    if number is None or status in (0, 128 + number):
        return status
    _print_error(f"\nadaptune: {stop_message()}")
    return 128 + number


def _run() -> int:
    """Run the command of the command line; return its exit status."""
    try:
        app()
    except SystemExit as error:
        return int(error.code or 0)
    except AdaptuneError as error:
        if isinstance(error, InterruptedSearchError):
            _print_error("")  # the terminal has printed ^C
        _print_error(f"adaptune: {error}")
        return exit_status(error)
    except OSError as error:
        # An unbuffered stream raises at once. Errors of other files have a name.
        lost_output = flush_or_drop() or error
        if lost_output.filename is not None:
            raise
        return _report_lost_output(lost_output)
    return 0


def _report_lost_output(error: OSError) -> int:
    _print_error(f"adaptune: cannot write to standard output: {error.strerror}")
    return 1


def _print_error(message: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print(message, file=sys.stderr, flush=True)


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
