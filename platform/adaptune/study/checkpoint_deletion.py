"""Deletion of checkpoints and sample grids that a search does not need, or has no room for."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from rich.filesize import decimal

from adaptune.results.folder import ResultsFolder
from adaptune.study.retention import has_ended, least_useful_first, unneeded_files
from adaptune.study.study import SearchStudy
from adaptune.training.checkpoint import TrialFile

log = logging.getLogger(__name__)
PAUSE_S = 60.0  # after an error of the store
FREED_FRACTION = 0.05  # more than is needed, so that trials are ranked seldom
_GB = 1e9


class CheckpointDeletion:
    """Deletes what ended trials no longer need, and what exceeds the budget.

    An ended trial keeps its best checkpoint and its sample grids. The trials of a group share a
    folder, which stays as it is until all of them have ended. The study knows of the end before
    anything is deleted: a trial that may yet be resumed keeps all that it has. If a kill comes
    between, the next session deletes the rest.

    Args:
        study: study of the search.
        folder: results folder.
        budget_gb: upper bound on the checkpoints and sample grids of all trials together, in
            gigabytes; None is no bound.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        study: SearchStudy,
        folder: ResultsFolder,
        budget_gb: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._folder = folder
        self._budget_bytes = math.inf if budget_gb is None else budget_gb * _GB
        self._clock = clock
        self._resume_at = -math.inf
        # Leaders of the groups whose folders have changed; at first, those of earlier sessions.
        self._changed = dict.fromkeys(trial.leader for trial in study.started_trials())
        self._files: dict[int, list[TrialFile]] = {}  # by leader; empty without a budget
        self._total_bytes = 0

    def note_change(self, number: int) -> None:
        """Note that a trial has written files, or may have ended."""
        self._changed[self._study.leader(number)] = None

    def delete_files(self, timeout_s: float) -> None:
        """Delete files for about `timeout_s` seconds.

        If the store does not answer, this is logged, and nothing is tried for a minute.
        """
        now = self._clock()
        if now < self._resume_at or not self._changed:
            return
        try:
            while self._changed and self._clock() < now + timeout_s:
                leader = next(iter(self._changed))
                self._read(leader)
                del self._changed[leader]
            if self._total_bytes > self._budget_bytes:
                self._make_room(now + timeout_s)
        except OSError as error:
            self._resume_at = self._clock() + PAUSE_S
            log.warning("files of trials could not be deleted, to be repeated: %s", error)

    def _read(self, leader: int) -> None:
        """Read the folder of a group; delete what its trials do not need if all have ended."""
        group = self._study.group(leader)
        if not has_ended(group) and self._budget_bytes == math.inf:
            return
        folder = self._folder.checkpoints(leader)
        files = folder.files()
        unneeded = unneeded_files(group, files)
        for file in unneeded:
            folder.remove(file.name)
        if self._budget_bytes < math.inf:
            self._keep(leader, [file for file in files if file not in unneeded])

    def _keep(self, leader: int, files: list[TrialFile]) -> None:
        """Replace what is known about the files of a group."""
        before = self._files.pop(leader, [])
        self._total_bytes += sum(file.size_bytes for file in files)
        self._total_bytes -= sum(file.size_bytes for file in before)
        if files:
            self._files[leader] = files

    def _make_room(self, deadline: float) -> None:
        """Delete the least useful files until the rest is well below the budget."""
        for leader, file in least_useful_first(self._study, self._files):
            if self._total_bytes <= (1 - FREED_FRACTION) * self._budget_bytes:
                return
            if self._clock() > deadline:
                self._changed[leader] = None  # so that the next step continues
                return
            self._folder.checkpoints(leader).remove(file.name)
            rest = [other for other in self._files[leader] if other != file]
            self._keep(leader, rest)
        if self._total_bytes > self._budget_bytes:
            log.warning(
                "the checkpoints that are needed take %s, more than the budget of %s",
                decimal(self._total_bytes),
                decimal(round(self._budget_bytes)),
            )
