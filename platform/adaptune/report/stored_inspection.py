"""The findings of `inspect`, kept for the reports of searches with the same data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from adaptune.errors import ResultsError
from adaptune.files import make_folder
from adaptune.report.data_findings import DataFinding
from adaptune.report.table import Table
from adaptune.results.folder import ResultsFolder, write_atomically
from adaptune.results.splits_manifest import stored_identity

FORMAT: Literal[2] = 2
MOST_LEAKS = 40  # lines of pairs that are kept; the page of `inspect` has all


class StoredInspection(BaseModel):
    """An inspection of data without its pictures.

    Attributes:
        format: version of the file's format.
        findings: the findings in words, the most important first.
        leaks: one line per image of target_test that is also in another part.
        counts: the number of images by class and part.
        stored: the forms of the stored images.
        statistics: brightness and colour.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[2] = FORMAT
    findings: tuple[DataFinding, ...]
    leaks: tuple[str, ...]
    counts: Table
    stored: Table
    statistics: Table

    @property
    def faults(self) -> list[str]:
        """The findings because of which the data should be repaired."""
        return [finding.message for finding in self.findings if finding.level == "fault"]


def write_inspection(inspection: StoredInspection, path: Path) -> None:
    """Write an inspection.

    Raises:
        OSError: it cannot be written.
    """
    make_folder(path.parent)
    write_atomically(path, inspection.model_dump_json() + "\n")


def read_inspection(folder: ResultsFolder) -> StoredInspection | None:
    """Return the inspection of the data of a search; None if they were not inspected."""
    try:
        path = folder.inspection(stored_identity(folder).digest)
        return StoredInspection.model_validate_json(path.read_bytes())
    except (OSError, ResultsError, ValidationError):
        return None
