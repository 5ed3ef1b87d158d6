"""The command `watch`."""

from __future__ import annotations

from adaptune.cli.arguments import ResultsArgument


def watch(results: ResultsArgument) -> None:
    """Watch a running search until it ends.

    The keys s, t, a and f stop a trial, try a setting, add trials and end the search after its
    running trials. q or Ctrl-C leaves the view; the search continues.
    """
    from adaptune.cli.printing import stdout_console
    from adaptune.workflows import watch as workflow

    workflow.watch(results, stdout_console())
