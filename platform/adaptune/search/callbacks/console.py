"""What a person sees and keeps of a running search: a line an epoch, TensorBoard events, the tables."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from ray.tune import Callback
from rich.console import Console

from adaptune.cluster.placement import PlacementPlan
from adaptune.results.folder import ResultsFolder
from adaptune.results.remote import push
from adaptune.search import study as studies
from adaptune.search.callbacks.checkpoint_retention import CheckpointRetention
from adaptune.search.callbacks.tables import write_tables
from adaptune.search.callbacks.tensorboard import TensorBoardWriter
from adaptune.search.objective import Objective
from adaptune.search.samplers import planned_trials
from adaptune.search.trial import format_objective, format_values
from adaptune.spec.schema import SearchSpec
from adaptune.training.guide import TARGET_VAL

log = logging.getLogger(__name__)
TABLES_EVERY_S = 10.0  # each time they are written whole


class Progress(Callback):  # type: ignore[misc]  # Ray is untyped
    """Called by Tune with each epoch; of a trial's last one before the study has it."""

    def __init__(
        self,
        spec: SearchSpec,
        study: optuna.Study,
        guide: Objective,
        plan: PlacementPlan,
        folder: ResultsFolder,
        console: Console,
        clock: studies.WallClock,
    ) -> None:
        self._spec = spec
        self._study = study
        self._guide = guide
        self._plan = plan
        self._folder = folder
        self._console = console
        self._events: dict[int, TensorBoardWriter] = {}
        self._best = max(
            (value for t in studies.started(study) for value in studies.curve(t).values()),
            default=None,
        )
        self._budget = CheckpointRetention(spec, study, folder)
        self._clock = clock
        self._since = time.perf_counter()
        self._tables_due = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks for a restore, which is not how we resume

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "record" not in result:
            return
        number, record = trial.config["number"], json.loads(result["record"])
        self._clock.note()
        with _disk_may_be_full("events", number):
            if number not in self._events:
                self._events[number] = TensorBoardWriter(self._folder.trial(number))
            self._events[number].add(record)
        with _disk_may_be_full("budget of checkpoints", number):
            self._budget.enforce(number)
        self._guide.note(number, record)
        value = self._guide.value(record)
        self._best = value if self._best is None else max(self._best, value)
        weights = format_values(trial.config["values"])
        self._console.print(
            f"{time.perf_counter() - self._since:6.0f}s  trial {number:>3}/{planned_trials(self._spec)}"
            f"  epoch {record['epoch']:>2}/{self._spec.training.epochs}"
            f"  {self._shown(record, value)}  {weights}",
            highlight=False,
            soft_wrap=True,
        )

    def _shown(self, record: Mapping[str, Any], value: float) -> str:
        metric, accuracy = self._spec.search.metric, record[TARGET_VAL]
        said = f"{format_objective(metric, value)}  best {format_objective(metric, self._best or 0).split()[-1]}"
        return (
            said
            if metric == TARGET_VAL or accuracy is None
            else f"{said}  target_val {accuracy:.1%}"
        )

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        number = trial.config["number"]
        with _disk_may_be_full("events", number):
            if (events := self._events.pop(number, None)) is not None:
                events.close()
        if reason := (trial.last_result or {}).get("requeued"):
            self._console.print(
                f"         trial {number} waits for room: {reason}", style="yellow", soft_wrap=True
            )
        ended = self._study.get_trials(deepcopy=False)[number]
        if sick := ended.user_attrs.get("sick"):
            self._console.print(
                f"         trial {number} is sick: {sick}", style="yellow", soft_wrap=True
            )
        if error := ended.user_attrs.get("error"):
            self._console.print(
                f"         trial {number} failed: {error}", style="red", soft_wrap=True
            )
        now = time.perf_counter()
        if now >= self._tables_due:
            self._tables_due = now + TABLES_EVERY_S
            with _disk_may_be_full("tables", number):
                write_tables(self._study, self._plan, self._folder)
                push(self._folder)

    on_trial_error = on_trial_complete


@contextmanager
def _disk_may_be_full(what: str, number: int) -> Iterator[None]:
    """What can be made again from the study, or done another time, must not end a search."""
    try:
        yield
    except OSError as error:
        log.warning("%s: failed after trial %s: %s", what, number, error)
