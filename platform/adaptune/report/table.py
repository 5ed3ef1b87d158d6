"""A table of text, which terminal and report lay out each in their own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; false if there are none."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def __bool__(self) -> bool:
        """Return whether there are rows."""
        return bool(self.rows)
