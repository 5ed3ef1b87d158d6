from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.fake_search import make_search

from adaptune.results.folder import ResultsFolder
from adaptune.spec.schema import SearchSpec

SpecIn = Callable[..., SearchSpec]


@pytest.fixture
def spec_in(tmp_path: Path) -> SpecIn:
    """Makes a search whose results are in a subfolder of the test's folder."""

    def make(out: str = "", *, remote: bool = False, **sections: object) -> SearchSpec:
        storage = {"out": str(tmp_path / out)}
        if remote:
            storage["remote"] = (tmp_path / "store").as_uri()
        return make_search(storage=storage, **sections)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """A results folder with a copy in a store, which do not exist yet."""
    return ResultsFolder(tmp_path / "fake", remote=(tmp_path / "store" / "fake").as_uri())
