"""The commands that steer a running search."""

from __future__ import annotations

from typing import Annotated

import typer

from adaptune.cli.arguments import ResultsArgument


def stop_trial(
    results: ResultsArgument, number: Annotated[int, typer.Argument(help="number of the trial")]
) -> None:
    """Stop a trial of a running search after its current epoch; its best epoch still counts."""
    from adaptune.workflows import steering

    print(steering.stop_trial(results, number))


def try_setting(
    results: ResultsArgument,
    settings: Annotated[
        list[str], typer.Argument(help="searched values, such as loss_weights.cycle=3")
    ],
) -> None:
    """Let a running search try a setting next, in addition to its other trials.

    The sampler proposes the values that are not given.
    """
    from adaptune.workflows import steering

    print(steering.try_setting(results, settings))


def add_trials(
    results: ResultsArgument,
    count: Annotated[int, typer.Argument(min=1, help="number of further trials")],
) -> None:
    """Add trials to a running search."""
    from adaptune.workflows import steering

    print(steering.add_trials(results, count))


def finish(results: ResultsArgument) -> None:
    """End a running search after the trials that run now, with its evaluation and its report."""
    from adaptune.workflows import steering

    print(steering.finish_search(results))
