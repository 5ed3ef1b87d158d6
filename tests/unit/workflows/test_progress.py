from __future__ import annotations

from io import StringIO

from rich.console import Console

from adaptune.workflows.progress import INTERVAL_S, PreparationProgress


class Screen:
    def __init__(self) -> None:
        self.now = 0.0
        self.text = StringIO()
        self.progress = PreparationProgress(
            Console(file=self.text, width=200), clock=lambda: self.now
        )

    def lines(self) -> list[str]:
        return self.text.getvalue().splitlines()


def test_lines_come_in_intervals_and_tell_the_time_that_is_left() -> None:
    screen = Screen()
    for step in range(1, 31):
        screen.now = step
        screen.progress("source", step * 100, 4000)
    assert screen.lines() == [
        "preparing the images of the source: 1,000 of 4,000, about 30 s left",
        "preparing the images of the source: 2,000 of 4,000, about 20 s left",
        "preparing the images of the source: 3,000 of 4,000, about 10 s left",
    ]


def test_the_time_of_the_target_begins_with_its_first_images() -> None:
    screen = Screen()
    screen.now = INTERVAL_S
    screen.progress("source", 1000, 1000)
    screen.now = 2 * INTERVAL_S
    screen.progress("target", 10, 610)
    assert screen.lines() == ["preparing the images of the target: 10 of 610, about 10 min left"]


def test_nothing_is_printed_about_small_data() -> None:
    screen = Screen()
    screen.now = INTERVAL_S - 1
    screen.progress("source", 50, 100)
    assert screen.lines() == []
