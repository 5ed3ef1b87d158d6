from __future__ import annotations

from pathlib import Path

import pytest

from adaptune.results.journal_file import (
    complete_lines,
    remove_left_locks,
    remove_partial_line,
)


@pytest.mark.parametrize(
    ("text", "complete"),
    [(b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n"), (b"a", b""), (b"a\n\0\0", b"a\n")],
)
def test_a_line_that_was_written_in_part_does_not_count(
    text: bytes, complete: bytes, tmp_path: Path
) -> None:
    journal = tmp_path / "study.journal"
    journal.write_bytes(text)
    assert complete_lines(journal) == complete
    assert journal.read_bytes() == text
    remove_partial_line(journal)
    assert journal.read_bytes() == complete


def test_a_missing_journal_is_empty_and_stays_missing(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    assert complete_lines(journal) == b""
    remove_partial_line(journal)
    remove_left_locks(journal)
    assert not journal.exists()


def test_only_locks_of_the_journal_are_removed(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    (tmp_path / "study.journal.lock").symlink_to("nowhere")
    (tmp_path / "study.journal.lock1234.rename").symlink_to("nowhere")
    journal.touch()
    (tmp_path / "other.lock").touch()
    remove_left_locks(journal)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.lock", "study.journal"]
