from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import make_search, simulate, smooth

from adaptune.study.study import SearchStudy


@pytest.fixture
def study(tmp_path: Path) -> SearchStudy:
    """The study of a simulated search, in which some trials are stopped early."""
    return simulate(make_search(), tmp_path / "study.journal", smooth)
