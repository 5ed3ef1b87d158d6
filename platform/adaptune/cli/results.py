"""The commands `status` and `report`."""

from __future__ import annotations

from adaptune.cli.arguments import ResultsArgument


def status(results: ResultsArgument) -> None:
    """Show the trials of a search.

    The search may be running, interrupted or finished.
    """
    from adaptune.cli.printing import print_lines, stdout_console
    from adaptune.workflows.results_view import search_status

    state = search_status(results)
    console = stdout_console()
    console.print(state.headline, soft_wrap=True)
    if state.best is not None:
        console.print(state.best, soft_wrap=True)
        print_lines(console, state.trials)


def report(results: ResultsArgument) -> None:
    """Write report.html, and print its tables.

    The search may be running, interrupted or finished. The tables show costs, validators, and what
    confirm and ablate found.
    """
    from adaptune.cli.printing import print_replication, print_table, stdout_console
    from adaptune.workflows.results_view import search_report

    contents = search_report(results)
    console = stdout_console()
    summary = contents.summary
    if summary is None:
        console.print(contents.state)
        console.print("the search has not finished: the report shows what is known so far")
    else:
        console.print(summary.verdict)
        for remark in summary.remarks:
            console.print(remark)
    console.print()
    print_table(console, contents.test_metrics)
    print_table(console, contents.test_recall)
    print_table(console, contents.costs)
    if summary is not None and summary.trials_unhealthy:
        unhealthy = summary.trials_unhealthy
        kinds = ", ".join(f"{count} {symptom}" for symptom, count in unhealthy.items())
        console.print(f"unhealthy trials: {kinds}")
    if contents.warm_start is not None:
        console.print(contents.warm_start, soft_wrap=True)
    if contents.group_size is not None:
        console.print(contents.group_size.description, markup=False, soft_wrap=True)
    print_table(console, contents.pareto_front)
    print_table(console, contents.validators)
    for name, replication in contents.replications.items():
        print_replication(console, name, replication)
    console.print(f"with plots: {contents.write_page()}", soft_wrap=True)
