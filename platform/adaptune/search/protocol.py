"""Messages between Ray Tune and our searcher, scheduler, trainable and callbacks.

Tune passes dictionaries. This is the only module that knows their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from adaptune.spec.distributions import Value
from adaptune.training.record import EpochRecord

OBJECTIVE = "objective"
EPOCH = "epoch"


@dataclass(frozen=True)
class TrialConfig:
    """Tune's `config` of a trial.

    Attributes:
        number: number of the trial in the study.
        values: sampled values by dotted path.
        death: cause of the death of the trial's last process; empty without one.
        death_epoch: number of the last epoch that the trial had reported before.
    """

    number: int
    values: Mapping[str, Value]
    death: str = ""
    death_epoch: int = 0

    def to_tune(self) -> dict[str, Any]:
        """Return the dictionary for Tune."""
        return asdict(self) | {"values": dict(self.values)}

    @classmethod
    def from_tune(cls, config: Mapping[str, Any]) -> TrialConfig:
        """Return the config that `to_tune` wrote."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: config[name] for name in names if name in config})


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
    """Result of one step of a trial: an epoch, or the reason why there is none.

    Attributes:
        record: record of the epoch, if the step trained one.
        objective: its objective as the trial's process knows it. Only the driver knows that of
            `ensemble`, see `StudyScheduler`.
        error: error that ended the trial, if any.
        requeue_reason: why the trial found no workers and waits for them; None if it did.
        done: whether the trial has ended.
    """

    record: EpochRecord | None = None
    objective: float | None = None
    error: str | None = None
    requeue_reason: str | None = None
    done: bool = False

    def to_tune(self) -> dict[str, Any]:
        """Return the dictionary for Tune."""
        result: dict[str, Any] = {"done": self.done}
        if self.record is not None:
            # As JSON, because Tune would flatten a mapping.
            result |= {
                "record": self.record.to_json(),
                EPOCH: self.record.epoch,
                OBJECTIVE: self.objective,
            }
        if self.error is not None:
            result["error"] = self.error
        if self.requeue_reason is not None:
            result["requeue_reason"] = self.requeue_reason
        return result

    @classmethod
    def from_tune(cls, result: Mapping[str, Any] | None) -> TrialResult:
        """Return the result that `to_tune` wrote; an empty one for a trial without any."""
        result = result or {}
        record = None
        if "record" in result:
            record = EpochRecord.from_json(result["record"])
        return cls(
            record=record,
            objective=result.get(OBJECTIVE),
            error=result.get("error"),
            requeue_reason=result.get("requeue_reason"),
            done=bool(result.get("done")),
        )
