from __future__ import annotations

from pathlib import Path

from support.fake_search import make_search

from adaptune.study.progress import SearchProgress, store_progress, stored_progress
from adaptune.study.storage import open_study, read_study


def test_a_reader_has_the_progress_that_the_driver_stored_last(journal: Path) -> None:
    spec = make_search()
    study = open_study(spec, journal)
    reader = read_study(spec, journal)
    assert stored_progress(reader) is None
    progress = SearchProgress("2 trials at a time", 1, 2, 359, start=100.0)
    store_progress(study, progress)
    assert stored_progress(reader) == progress
    store_progress(study, progress.with_end(400.0))
    assert stored_progress(reader) == progress.with_end(400.0)
