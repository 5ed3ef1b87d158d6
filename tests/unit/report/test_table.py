from __future__ import annotations

from adaptune.report.table import Table


def test_a_table_without_rows_is_false() -> None:
    assert not Table(("name",), [])
    assert Table(("name",), [("a",)])
