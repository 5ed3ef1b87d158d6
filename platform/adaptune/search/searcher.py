"""Optuna as Ray Tune sees it: it lives off the study alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import optuna
from ray import tune
from ray.tune.search import Searcher

from adaptune.cluster.connection import lost_nodes_patience_s
from adaptune.errors import WorkersNotStartedError
from adaptune.search import study as studies
from adaptune.search.objective import Objective
from adaptune.search.samplers import planned_trials
from adaptune.search.study import OBJECTIVE
from adaptune.search.warm_start import priors
from adaptune.spec.schema import SearchSpec

Clock = Callable[[], float]


class Watch(tune.Callback):  # type: ignore[misc]  # Ray is untyped
    """Has the searcher notice what Tune does not tell it."""

    def __init__(self, searcher: StudySearcher) -> None:
        self._searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks for a restore, which is not how we resume

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._searcher.watch(running=any(trial.status == "RUNNING" for trial in trials))


class StudySearcher(Searcher):  # type: ignore[misc]  # Ray is untyped
    """Gives Tune the study's interrupted trials, then new ones, and tells the study how they went.

    It hands out a trial only while fewer than `capacity(unfinished)` are under way, and never more than
    `planned_trials(spec)` in all. A trial that is put back, since the cluster had no room for it, goes on later.
    """

    def __init__(
        self,
        spec: SearchSpec,
        study: optuna.Study,
        guide: Objective,
        capacity: Callable[[int], int],
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(metric=OBJECTIVE, mode="max")
        self._guide = guide
        known = priors(spec)
        self._priors = [trial for trials in known.values() for trial in trials]
        studies.note_warm_start(study, {folder: len(trials) for folder, trials in known.items()})
        self._spec = spec
        self._study = study
        self._capacity = capacity
        self._clock = clock
        self._interrupted = studies.interrupted(study)
        self._live: dict[str, tuple[optuna.Trial, float | None]] = {}
        self._patience_s = lost_nodes_patience_s(spec)
        self._starved_since: float | None = (
            None  # when the first of the trials was put back that wait for room
        )
        self._lack = ""
        self._training: set[str] = set()  # of the live ones, those that have said something

    def remaining(self) -> int:
        """How many trials there are to run."""
        new = planned_trials(self._spec) - len(studies.started(self._study))
        return len(self._interrupted) + max(new, 0)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial; None: not now.

        Raises:
            WorkersNotStartedError: none has trained for ten minutes, or `resources.wait_for_nodes_s` if that is longer.
        """
        left = self.remaining()
        capacity = self._capacity(len(self._live) + left)
        if not left:
            # What is under way may yet be put back: Tune does not ask again once it is told of the end.
            return None if self._live else str(Searcher.FINISHED)
        if not self._live and not capacity:
            self._note_lack("no node has room for one")
        self._check_patience()
        if len(self._live) >= capacity:
            return None
        if self._interrupted:
            trial, since = (
                studies.resume_trial(self._interrupted.pop(0), self._spec),
                None,
            )  # it began before us
        else:
            trial, since = studies.ask(self._study, self._spec, self._priors), self._clock()
        self._live[trial_id] = trial, since
        return {"number": trial.number, "values": dict(trial.params)}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "record" in result:
            self._starved_since = None
            self._training.add(trial_id)
            trial, record = self._live[trial_id][0], json.loads(result["record"])
            self._guide.note(trial.number, record)
            studies.add_epoch(trial, record, self._guide.value(record))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        result = result or {}
        self.on_trial_result(trial_id, result)
        trial, since = self._live.pop(trial_id)
        self._training.discard(trial_id)
        if "requeued" in result:
            self._interrupted.append(trial)
            self._note_lack(result["requeued"])
            return
        message = result.get("error") or (
            "the trial's process died again and again" if error else None
        )
        studies.finish(
            self._study,
            trial,
            epochs=self._spec.training.epochs,
            error=message,
            wall_s=None if since is None else self._clock() - since,
        )

    def watch(self, *, running: bool) -> None:
        """To be called at each of Tune's steps: a trial whose node is gone waits without a word to `suggest`.

        Args:
            running: whether a trial has its place.

        Raises:
            WorkersNotStartedError: see `suggest`.
        """
        if self._live and not running and not self._capacity(len(self._live) + self.remaining()):
            self._training.clear()
            self._note_lack("no node has room for one")
            self._check_patience()

    def _note_lack(self, reason: str) -> None:
        self._lack = reason
        if self._starved_since is None:
            self._starved_since = self._clock()

    def _check_patience(self) -> None:
        if self._training or self._starved_since is None:
            return
        if self._clock() - self._starved_since > self._patience_s:
            raise WorkersNotStartedError(
                f"no trial could train for {self._patience_s:g} s: {self._lack}\nWhat was finished is kept, and the"
                " same command with --resume goes on; resources.wait_for_nodes_s is how long to wait"
            )

    # The study is on disk at every moment: Tune has nothing to save, and reads nothing back.
    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None: ...

    def save(self, checkpoint_path: str) -> None: ...

    def restore(self, checkpoint_path: str) -> None: ...
