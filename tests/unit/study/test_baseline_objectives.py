from __future__ import annotations

import math
from pathlib import Path

from support.fake_search import make_search

from adaptune.study.baseline_objectives import (
    known_baseline_objectives,
    store_baseline_objectives,
)
from adaptune.study.storage import open_study, read_study
from adaptune.study.study import create_study


def test_objectives_are_added_as_they_become_known(tmp_path: Path) -> None:
    spec = make_search()
    study = open_study(spec, tmp_path / "study.journal")
    assert known_baseline_objectives(study) == {}
    store_baseline_objectives(study, {"source_only": 0.6}, "f_S")
    store_baseline_objectives(study, {"no_gan": 0.7, "fda": math.nan, "other": -math.inf}, "f_S")
    expected = {"source_only": 0.6, "no_gan": 0.7}
    assert known_baseline_objectives(study, "f_S") == expected
    # As those who watch from another process do.
    assert known_baseline_objectives(read_study(spec, tmp_path / "study.journal")) == expected


def test_objectives_of_another_source_classifier_are_dropped() -> None:
    study = create_study(make_search())
    store_baseline_objectives(study, {"source_only": 0.6, "no_gan": 0.7}, "before")
    assert known_baseline_objectives(study, "after") == {}
    store_baseline_objectives(study, {"source_only": 0.5}, "after")
    assert known_baseline_objectives(study) == {"source_only": 0.5}
