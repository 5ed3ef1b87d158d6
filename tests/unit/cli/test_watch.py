"""The command `watch`, on a search that was killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adaptune.results.folder import ResultsFolder


def test_watch_of_a_search_that_does_not_run(
    run: Callable[..., Any], killed: ResultsFolder
) -> None:
    status, out, error = run("watch", killed.path)
    assert (status, error) == (0, "")
    assert out == "small: 2 of 3 trials have ended; trial 2 epoch 1/2; not running\n"
