"""Inspection of the data of a search before anything is trained, for the command `inspect`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from adaptune.data.domain_pair import PairProgress
from adaptune.data.inspected_pair import InspectedPair, inspect_pair
from adaptune.errors import ResultsError
from adaptune.files import make_folder, write_file
from adaptune.report import data_tables
from adaptune.report.data_findings import DataFinding, findings
from adaptune.report.stored_inspection import MOST_LEAKS, StoredInspection, write_inspection
from adaptune.report.table import Table
from adaptune.results.folder import inspection_file
from adaptune.spec.schema import SearchSpec
from adaptune.text import escape_control

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataReport:
    """The findings of an inspection, as a terminal can show them.

    Attributes:
        spec: spec of the search.
        pair: both domains as they were inspected.
        findings: the findings in words, the most important first.
        leaks: one line per image of target_test that is also in another part.
        counts: the number of images by class and part.
        stored: the forms of the stored images.
        statistics: brightness and colour.
        unreadable: one line per image of either domain that cannot be read.
    """

    spec: SearchSpec
    pair: InspectedPair
    findings: list[DataFinding]
    leaks: list[str]
    counts: Table
    stored: Table
    statistics: Table
    unreadable: list[str]

    @property
    def has_fault(self) -> bool:
        """True if the data must be repaired before a search."""
        return any(finding.level == "fault" for finding in self.findings)

    def write_page(self, file: Path | None = None) -> Path:
        """Write the HTML page, and return its path.

        Args:
            file: the path; None is `<name>-data.html` in the folder of all results.

        Raises:
            ResultsError: it cannot be written.
        """
        from adaptune.report.data_page import data_page  # imported late: plots take a second

        if file is None:
            file = Path(self.spec.storage.out) / f"{self.spec.name}-data.html"
        path = file.expanduser().absolute()
        page = data_page(self.spec, self.pair)
        try:
            make_folder(path.parent)
            write_file(path, page.encode())
        except OSError as error:
            raise ResultsError(f"cannot write {path}: {error.strerror}") from error
        return path

    def store(self) -> bool:
        """Keep the findings for the reports of searches with these data.

        Returns:
            False if no search could begin with these data, or the file cannot be written.
        """
        if self.pair.identity is None:
            return False
        inspection = StoredInspection(
            findings=tuple(self.findings),
            leaks=tuple(self.leaks[:MOST_LEAKS]),
            counts=self.counts,
            stored=self.stored,
            statistics=self.statistics,
        )
        file = inspection_file(Path(self.spec.storage.out).resolve(), self.pair.identity.digest)
        try:
            write_inspection(inspection, file)
        except OSError as error:
            log.warning("the findings are not kept for reports: %s", error)
            return False
        return True


def inspect_data(spec: SearchSpec, progress: PairProgress | None = None) -> DataReport:
    """Prepare both domains of a search, and compare them.

    Args:
        progress: called while the images of a domain are prepared.

    Raises:
        DataError: a domain cannot be opened, has no readable image, or there is too little memory.
    """
    pair = inspect_pair(spec.data, spec.seed, progress)
    unreadable = [*pair.source.unreadable, *pair.target.unreadable]
    return DataReport(
        spec=spec,
        pair=pair,
        findings=findings(pair),
        leaks=data_tables.copy_lines(pair, pair.leaks),
        counts=data_tables.counts_table(pair),
        stored=data_tables.stored_table(pair),
        statistics=data_tables.statistics_table(pair),
        unreadable=[escape_control(message) for message in unreadable],
    )
