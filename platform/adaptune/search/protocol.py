"""Messages between Ray Tune and our searcher, scheduler, trainable and callbacks.

Tune passes dictionaries. This is the only module that knows their keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from adaptune.spec.distributions import Value
from adaptune.training.record import EpochRecord

OBJECTIVE = "objective"
EPOCH = "epoch"


@dataclass(frozen=True)
class TrialConfig:
    """A trial of a group.

    Attributes:
        number: number of the trial in the study.
        values: sampled values by dotted path.
    """

    number: int
    values: Mapping[str, Value]


@dataclass(frozen=True)
class GroupConfig:
    """Tune's `config` of a trial group, which is a trial to Tune.

    Attributes:
        trials: the trials of the group that had not ended when it began in this session.
        leader: number of the first trial of the group, which names the group.
        ended: numbers of those that have ended.
        death: cause of the death of the group's last process; empty without one.
        death_epoch: number of the last epoch that the group had reported before.
    """

    trials: tuple[TrialConfig, ...]
    leader: int
    ended: frozenset[int] = frozenset()
    death: str = ""
    death_epoch: int = 0

    @property
    def running(self) -> tuple[TrialConfig, ...]:
        """The trials that have not ended."""
        return tuple(trial for trial in self.trials if trial.number not in self.ended)

    @property
    def running_numbers(self) -> tuple[int, ...]:
        """Numbers of the trials that have not ended."""
        return tuple(trial.number for trial in self.running)

    def trial(self, number: int) -> TrialConfig:
        """Return the trial with this number."""
        return next(trial for trial in self.trials if trial.number == number)

    def to_tune(self) -> dict[str, Any]:
        """Return the dictionary for Tune."""
        trials = [{"number": trial.number, "values": dict(trial.values)} for trial in self.trials]
        return {
            "trials": trials,
            "leader": self.leader,
            "ended": sorted(self.ended),
            "death": self.death,
            "death_epoch": self.death_epoch,
        }

    @classmethod
    def from_tune(cls, config: Mapping[str, Any]) -> GroupConfig:
        """Return the config that `to_tune` wrote."""
        return cls(
            trials=tuple(TrialConfig(**trial) for trial in config["trials"]),
            leader=config["leader"],
            ended=frozenset(config["ended"]),
            death=config["death"],
            death_epoch=config["death_epoch"],
        )


@dataclass(frozen=True)
class Death:
    """The death of a trial's process.

    Attributes:
        cause: why it died.
        is_early: whether it died before it took the trial, of which Tune had told it.
    """

    cause: str
    is_early: bool = False


@dataclass(frozen=True)
class TrialResult:
    """Result of one step of a trial: an epoch, or the error that ended the trial.

    Attributes:
        record: record of the epoch, if the step trained one.
        objective: its objective as the trial's process knows it. Only the driver knows that of
            `ensemble`, see `StudyScheduler`.
        error: error that ended the trial, if any.
        done: whether the trial has ended by itself.
    """

    record: EpochRecord | None = None
    objective: float | None = None
    error: str | None = None
    done: bool = False


@dataclass(frozen=True)
class GroupResult:
    """Result of one step of a trial group.

    Attributes:
        trials: results of the trials that were running, by their numbers.
        requeue_reason: why the group found no workers and waits for them; None if it did.
        done: whether the group has ended.
    """

    trials: Mapping[int, TrialResult] = field(default_factory=dict)
    requeue_reason: str | None = None
    done: bool = False

    def records(self) -> dict[int, EpochRecord]:
        """Return the records of the epoch, by number of the trial."""
        records = {}
        for number, result in self.trials.items():
            if result.record is not None:
                records[number] = result.record
        return records

    def to_tune(self) -> dict[str, Any]:
        """Return the dictionary for Tune."""
        result: dict[str, Any] = {"done": self.done}
        trials = []
        for number, trial in self.trials.items():
            record = None if trial.record is None else trial.record.to_dict()
            trials.append({**vars(trial), "number": number, "record": record})
            if trial.record is not None:
                result |= {EPOCH: trial.record.epoch, OBJECTIVE: trial.objective}
        result["trials"] = json.dumps(trials)  # Tune would flatten mappings
        if self.requeue_reason is not None:
            result["requeue_reason"] = self.requeue_reason
        return result

    @classmethod
    def from_tune(cls, result: Mapping[str, Any] | None) -> GroupResult:
        """Return the result that `to_tune` wrote; an empty one for a group without any."""
        result = result or {}
        trials = _parse_trials(result.get("trials", "[]"))
        return cls(trials, result.get("requeue_reason"), bool(result.get("done")))


@lru_cache(maxsize=1)  # scheduler, searcher and callbacks read a result one after another
def _parse_trials(text: str) -> Mapping[int, TrialResult]:
    trials = {}
    for stored in json.loads(text):
        number = stored.pop("number")
        record = stored.pop("record")
        parsed = None if record is None else EpochRecord.from_dict(record)
        trials[number] = TrialResult(record=parsed, **stored)
    return MappingProxyType(trials)
