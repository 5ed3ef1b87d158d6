from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from support.fake_search import FakeTrial

from adaptune.errors import WorkersNotStartedError
from adaptune.search.callbacks.shortage import ShortageCallback


class FakeSearcher:
    """Keeps whether any trial was running at each check."""

    def __init__(self, error: Exception | None = None) -> None:
        self.checks: list[bool] = []
        self.notices: list[str | None] = []
        self._error = error

    def check_shortage(self, *, any_running: bool) -> str | None:
        self.checks.append(any_running)
        if self._error is not None:
            raise self._error
        return self.notices.pop(0) if self.notices else None


def trials(*states: str) -> Any:
    return [FakeTrial(f"tune-{number}", {}, status=state) for number, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "any_running"),
    [
        ((), False),
        (("PENDING", "TERMINATED"), False),
        (("PENDING", "RUNNING"), True),
    ],
)
def test_each_step_of_tune_checks_whether_any_trial_runs(
    states: tuple[str, ...], any_running: bool
) -> None:
    searcher: Any = FakeSearcher()
    ShortageCallback(searcher, Console(file=io.StringIO())).on_step_end(
        1, trials(*states), info="ignored"
    )
    assert searcher.checks == [any_running]


def test_a_shortage_ends_the_search() -> None:
    searcher: Any = FakeSearcher(WorkersNotStartedError("no node has room for a trial"))
    with pytest.raises(WorkersNotStartedError, match="no node has room"):
        ShortageCallback(searcher, Console(file=io.StringIO())).on_step_end(1, trials("PENDING"))


def test_a_long_wait_is_printed_once() -> None:
    searcher: Any = FakeSearcher()
    searcher.notices += [None, "no room", "no room", None, "no room"]
    text = io.StringIO()
    callback = ShortageCallback(searcher, Console(file=text))
    for _ in range(5):
        callback.on_step_end(1, trials("PENDING"))
    assert text.getvalue().splitlines() == ["no room", "no room"]  # it was over in between
