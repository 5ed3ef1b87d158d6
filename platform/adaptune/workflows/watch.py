"""The live view of a search from another process, which reads the study and sends requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import open_existing
from adaptune.results.lock import is_in_use
from adaptune.study.storage import read_study
from adaptune.text import duration
from adaptune.workflows.live import LiveScreen, can_show_live
from adaptune.workflows.live_view import SearchView, describe_gain
from adaptune.workflows.snapshot import Snapshot, SnapshotReader
from adaptune.workflows.watch_keys import HELP, LEAVE, PROMPTS, Keys, steer

INTERVAL_S = 1.0
_PLAIN_INTERVAL_S = 10.0
_PAUSE_S = 0.1


def watch(
    path: Path,
    console: Console,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Show a search until it ends; on anything but a terminal, print a line at each change.

    Raises:
        ResultsError: the folder holds no search, or its trials have not begun.
    """
    folder, spec = open_existing(path)
    study = read_study(spec, folder.journal)

    def read() -> Snapshot:
        study.steering.read()
        return reader.read()

    reader = SnapshotReader(study, spec, lambda: is_in_use(folder))
    if not can_show_live(console):
        _print_lines(folder, console, read, sleep)
        return
    snapshot = read()
    with Keys() as keys, LiveScreen(console, alternate=True, released=keys.released) as screen:
        footer = HELP
        due = clock()
        while not has_ended(folder, snapshot):
            if clock() >= due:
                snapshot = read()
                screen.show(SearchView(snapshot, footer))
                due = clock() + INTERVAL_S
            screen.suspend_if_asked()
            key = keys.read()
            if key == LEAVE:
                break
            if key in PROMPTS:
                with screen.hidden():
                    answer = _ask(console, PROMPTS[key])
                footer = f"{steer(path, key, answer)} ({HELP})"
                due = clock()
            sleep(_PAUSE_S)
    console.print(SearchView(read()))


def _ask(console: Console, prompt: str) -> str:
    """Return the answer of the user; Ctrl-D is an empty one."""
    try:
        return console.input(prompt)
    except EOFError:
        return ""


def has_ended(folder: ResultsFolder, snapshot: Snapshot) -> bool:
    """Return whether a search has ended, or its driver has.

    Without locks, only the summary tells it.
    """
    if snapshot.is_active is not None:
        return not snapshot.is_active
    return folder.summary.exists() and snapshot.ended >= snapshot.total


def _print_lines(
    folder: ResultsFolder,
    console: Console,
    read: Callable[[], Snapshot],
    sleep: Callable[[float], object],
) -> None:
    last = ""
    while True:
        snapshot = read()
        line = describe(snapshot)
        if line != last:
            console.print(line, soft_wrap=True)
        last = line
        if has_ended(folder, snapshot):
            return
        sleep(_PLAIN_INTERVAL_S)


def describe(snapshot: Snapshot) -> str:
    """Return the progress of a search in one line."""
    epochs = ", ".join(
        f"trial {trial.number} epoch {trial.epoch}/{snapshot.epochs}" for trial in snapshot.running
    )
    parts = [f"{snapshot.name}: {snapshot.ended} of {snapshot.total} trials have ended"]
    if epochs:
        parts.append(epochs)
    gain = describe_gain(snapshot)
    if gain is not None:
        parts.append(gain)
    if snapshot.is_active is False:
        parts.append("not running")
    elif snapshot.left_s is not None:
        parts.append(f"about {duration(snapshot.left_s)} left")
    return "; ".join(parts)
