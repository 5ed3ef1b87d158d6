from __future__ import annotations

from pathlib import Path

from support.fake_search import make_search

from adaptune.study.group_size import (
    GroupSize,
    store_group_size,
    stored_group_size,
    with_stored_group_size,
)
from adaptune.study.storage import open_study, read_study


def test_the_first_choice_of_a_search_stays(tmp_path: Path) -> None:
    spec = make_search()
    study = open_study(spec, tmp_path / "study.journal")
    assert stored_group_size(study) is None
    assert with_stored_group_size(spec, study) is spec
    first = GroupSize(3, "it was measured")
    store_group_size(study, first)
    store_group_size(open_study(spec, tmp_path / "study.journal"), GroupSize(5, "once more"))
    stored = read_study(spec, tmp_path / "study.journal")
    assert stored_group_size(stored) == first
    assert with_stored_group_size(spec, stored).search.classifiers_per_gan == 3
