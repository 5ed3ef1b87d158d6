"""The last steps of a command on a results folder: the printed summary, the report, the copy."""

from __future__ import annotations

from itertools import zip_longest
from textwrap import wrap

from rich.console import Console

from adaptune.errors import ResultsError
from adaptune.evaluation.summary import Summary
from adaptune.evaluation.summary_scores import accuracies_by_model
from adaptune.report.page import write_report
from adaptune.report.table import Table
from adaptune.report.tables import baselines_table, metrics_table, recall_table, updates_text
from adaptune.results.folder import ResultsFolder
from adaptune.results.lease import DriverLease
from adaptune.results.remote import upload
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy


def print_summary(summary: Summary, console: Console) -> None:
    """Print the counts of trials, the test accuracies and the verdict."""
    console.print(
        f"\n{summary.trials_total} trial(s): {summary.trials_complete} complete,"
        f" {summary.trials_pruned} stopped early, {summary.trials_failed} failed;"
        f" {summary.wall_s:.0f} s"
    )
    if summary.test_metrics is None:
        for name, accuracy in accuracies_by_model(summary).items():
            console.print(f"  {name:<18}{accuracy:.1%}")
    else:
        metrics = metrics_table(summary)
        _print_table(Table(("", *metrics.header[1:]), metrics.rows), console)
    if summary.gap_closed is not None:
        console.print(f"  {'gap closed':<18}{summary.gap_closed:.2f}")
    baselines = baselines_table(summary)
    if baselines:
        _print_table(baselines, console, wrapped="setting")
        updates = updates_text(summary)
        if updates is not None:
            console.print(updates)
    recalls = recall_table(summary).rows
    if recalls:
        by_class = [f"{name} {text.partition(' (')[0]}" for name, text in recalls]
        console.print(f"accuracy per class, %: {', '.join(by_class)}", soft_wrap=False)
    console.print(summary.verdict, soft_wrap=False)  # sentences break between words
    for remark in summary.remarks:
        console.print(remark, soft_wrap=False)


def _print_table(table: Table, console: Console, wrapped: str | None = None) -> None:
    """Print a table with columns as wide as their longest cells.

    Args:
        wrapped: title of the column whose cells are broken into lines to fit the console.
    """
    columns = list(zip(table.header, *table.rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    if wrapped is not None:
        index = table.header.index(wrapped)
        room = console.width - sum(width + 2 for width in widths) + widths[index]
        widths[index] = min(widths[index], max(room, 20))
    for row in (table.header, *table.rows):
        cells = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            texts = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
            console.print(f"  {'  '.join(texts)}".rstrip(), soft_wrap=True)


def write_report_if_possible(
    folder: ResultsFolder, spec: SearchSpec, study: SearchStudy, console: Console
) -> None:
    """Write the report of a finished search, and print its path.

    The report can be written again at any time: an error of the disk is only printed.
    """
    if not folder.summary.exists():  # an interrupted search, some of whose trials are confirmed
        return
    try:
        path = write_report(folder, spec, study)
    except ResultsError as error:
        console.print(f"no report: {error}; `adaptune report {folder.path}` writes it again")
    else:
        console.print(f"report: {path}")


def copy_to_remote(folder: ResultsFolder, console: Console, lease: DriverLease) -> bool:
    """Copy all results to `storage.remote`, if the spec has one; return False if that failed.

    Args:
        lease: leases of this driver.

    Raises:
        LeaseLostError: another driver has taken one.
    """
    lease.check()
    try:
        upload(folder, everything=True)
    except (OSError, ResultsError) as error:
        console.print(
            f"not copied to {folder.remote}: {error}\nEverything is in {folder.path}; the same"
            " command with --resume copies it again."
        )
        return False
    if folder.remote is not None:
        console.print(f"copied to {folder.remote}")
    return True
