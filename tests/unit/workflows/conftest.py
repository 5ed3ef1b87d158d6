from __future__ import annotations

from pathlib import Path

import pytest
from support.image_search import make_killed_search, write_space

from adaptune.results.folder import ResultsFolder


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A search space file over two small image folders."""
    return write_space(tmp_path)


@pytest.fixture
def killed(space: Path) -> ResultsFolder:
    """Results of three trials: one complete, one failed, one interrupted."""
    return make_killed_search(space)
