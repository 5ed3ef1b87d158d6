"""The last steps of a command on a results folder: the printed summary, the report, the copy."""

from __future__ import annotations

from rich.console import Console

from adaptune.errors import ResultsError
from adaptune.evaluation.summary import Summary, accuracies_by_model
from adaptune.report.page import write_report
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
    for name, accuracy in accuracies_by_model(summary).items():
        console.print(f"  {name:<18}{accuracy:.1%}")
    if summary.gap_closed is not None:
        console.print(f"  {'gap closed':<18}{summary.gap_closed:.2f}")
    console.print(summary.verdict, soft_wrap=False)  # sentences break between words


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
