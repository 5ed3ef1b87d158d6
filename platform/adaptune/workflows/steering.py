"""Steering of a running search: the requests of a person, and the driver's answer to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError
from ray.tune.experiment import Trial
from rich.console import Console

from adaptune.errors import ResultsError, SpecError
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import open_existing
from adaptune.results.lock import is_in_use
from adaptune.search.callbacks.base import SearchCallback
from adaptune.spec.algorithms import Grid
from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec
from adaptune.spec.start_points import as_drawn, mismatch
from adaptune.spec.yaml_reader import parse
from adaptune.study.job import format_values
from adaptune.study.requests import Request, pending_requests, remove_request, send_request
from adaptune.study.storage import read_study
from adaptune.study.study import SearchStudy

INTERVAL_S = 1.0


class SteeringCallback(SearchCallback):
    """Carries the requests out that other processes have left in the results folder.

    Args:
        folder: results folder.
        study: study of the search.
        planned: number of trials by the spec.
        console: where it is printed what was done.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        folder: ResultsFolder,
        study: SearchStudy,
        planned: int,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._study = study
        self._planned = planned
        self._console = console
        self._clock = clock
        self._due = clock()
        self._announces_early_end = not study.early_end.has_come

    def on_step(self, trials: Sequence[Trial]) -> None:
        """Carry out what was requested, once per second."""
        if self._clock() >= self._due:
            self._due = self._clock() + INTERVAL_S
            self.carry_out()
            self._announce_early_end()

    def carry_out(self) -> None:
        """Carry out what was requested since the last call, or before this session.

        The study records a request before its file is removed: a kill in between repeats nothing.
        """
        for name, request in pending_requests(self._folder):
            message: str | None = f"the request {name} cannot be read; it is removed"
            if request is not None:
                steering = self._study.steering
                message = steering.carry_out(name, request, planned=self._planned)
            remove_request(self._folder, name)
            if message is not None:
                self._console.print(message, style="cyan", soft_wrap=True)

    def _announce_early_end(self) -> None:
        early_end = self._study.early_end
        if self._announces_early_end and early_end.has_come:
            self._announces_early_end = False
            self._console.print(early_end.describe(), style="cyan", soft_wrap=True)


def stop_trial(path: Path, number: int) -> str:
    """Ask a search to stop a trial after its current epoch; return a line for the user.

    Raises:
        ResultsError: the trial is not running, or the folder is not writable or holds no search.
    """
    folder, spec = open_existing(path)
    states = {}
    for trial in read_study(spec, folder.journal).started_trials():
        states[trial.number] = trial.state.name
    running = [str(started) for started, state in states.items() if state == "RUNNING"]
    if states.get(number) != "RUNNING":
        fault = "has ended already" if number in states else "has not begun"
        raise ResultsError(f"trial {number} {fault}; running: {', '.join(running) or 'none'}")
    return _send(folder, Request(action="stop", trial=number), f"trial {number} will stop")


def try_setting(path: Path, settings: Sequence[str]) -> str:
    """Ask a search to try a setting next, in addition to its other trials.

    Args:
        settings: texts `path=value`; the last name of a path is enough if only one path has it.

    Raises:
        SpecError: a value is not searched, or out of its range.
        ResultsError: the folder is not writable or holds no search.
    """
    folder, spec = open_existing(path)
    values = read_setting(spec, settings)
    return _send(folder, Request(action="try", values=values), f"to try: {format_values(values)}")


def add_trials(path: Path, count: int) -> str:
    """Ask a search for more trials; return a line for the user.

    Raises:
        SpecError: the search tries a grid, which has no further points.
        ResultsError: the folder is not writable or holds no search.
    """
    folder, spec = open_existing(path)
    if isinstance(spec.search.sampler, Grid):
        raise SpecError(
            "the search tries the points of a grid, and there are no others: name a setting with"
            " `adaptune try`"
        )
    return _send(folder, Request(action="add", trials=count), f"{count} trial(s) to be added")


def finish_search(path: Path) -> str:
    """Ask a search to start no more trials; return a line for the user.

    Raises:
        ResultsError: the folder is not writable or holds no search.
    """
    folder, _ = open_existing(path)
    return _send(folder, Request(action="finish"), "the search will end after its running trials")


def read_setting(spec: SearchSpec, settings: Sequence[str]) -> dict[str, Value]:
    """Return the values of a setting by dotted path, checked against the ranges of a search.

    Args:
        settings: see `try_setting`.

    Raises:
        SpecError: with a line per fault.
    """
    values: dict[str, Value] = {}
    faults = []
    for text in settings:
        name, equals, raw = text.partition("=")
        paths = [path for path in spec.space if path == name or path.endswith(f".{name}")]
        if not equals or len(paths) != 1:
            searched = ", ".join(spec.space)
            faults.append(f"{text}: must be PATH=VALUE, with one of the searched: {searched}")
            continue
        try:
            value = parse(raw).tree
        except yaml.YAMLError:
            value = raw
        distribution = spec.space[paths[0]]
        fault = mismatch(value, distribution)
        if fault is None:
            values[paths[0]] = as_drawn(value, distribution)
        else:
            faults.append(f"{text}: {fault}")
    if not faults:
        faults = _faults_of_trial(spec, values)
    if faults:
        raise SpecError("\n".join(faults))
    return values


def _faults_of_trial(spec: SearchSpec, values: dict[str, Value]) -> list[str]:
    """Return what keeps a trial from having these values together."""
    try:
        spec.trial(values)
    except ValidationError as error:
        return [details["msg"] for details in error.errors()]
    faults = []
    for path in values:
        for other, allowed in spec.space[path].when.items():
            if other not in values or values[other] not in allowed:
                choices = ", ".join(map(str, allowed))
                faults.append(f"{path} needs {other}, as one of: {choices}")
    return faults


def _send(folder: ResultsFolder, request: Request, message: str) -> str:
    try:
        send_request(folder, request)
    except OSError as error:
        raise ResultsError(f"cannot write to {folder.path}: {error.strerror}") from error
    if is_in_use(folder) is False:
        return f"{message}, once the search runs: resume it with --resume"
    return message
