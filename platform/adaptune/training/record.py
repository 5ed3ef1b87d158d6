"""The record of one epoch, passed from a worker to the study, the tables and the callbacks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from adaptune.training.metrics import ACCURACY, METRICS, ClassScores, metric_of

TARGET_VAL = "target_val_accuracy"
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class HealthReport:
    """Health of the generators after an epoch, measured on the same source images each time.

    Attributes:
        diversity: variety of translations relative to their source images; 1 is the same variety.
        colour_correlation: mean correlation of images and their translations, in [-1, 1].
        brightness_drift: change of the distance to the target's mean intensity; > 0 is further.
        flip_p: p value of "labels survive translation no better than by chance".
        flips: classes that seem swapped, such as `4 as 9, 9 as 4`; empty without any.
        symptom: symptom in this epoch, `kind: figures`, or None.
        unhealthy: the symptom if the epoch before had one of the same kind, else None.
    """

    diversity: float
    colour_correlation: float
    brightness_drift: float
    flip_p: float
    flips: str
    symptom: str | None = None
    unhealthy: str | None = None


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """Result of one epoch of a trial.

    Attributes:
        epoch: number of the epoch, from 1.
        losses: mean of each unweighted loss term over the epoch, by the name of the term.
        source_val_accuracy: accuracy of f_T on source_val, in [0, 1].
        target_val_accuracy: accuracy of f_T on target_val, in [0, 1]; None without target labels.
        target_val_loss: mean cross-entropy on target_val in nats; None without target labels.
        source_val: further metrics of f_T on source_val; None in a record of adaptune before them.
        target_val: the same on target_val; also None without target labels.
        gradient_norms: L2 norm of the gradient in the last update, by network; empty in a record of
            adaptune before them.
        validators: score of each validator, by its name; NaN if it needs more samples.
        health: health of the generators; None if it was not checked.
        train_s: seconds of training.
        eval_s: seconds of evaluation.
    """

    epoch: int
    train_s: float
    eval_s: float
    source_val_accuracy: float
    target_val_accuracy: float | None = None
    target_val_loss: float | None = None
    source_val: ClassScores | None = None
    target_val: ClassScores | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    gradient_norms: Mapping[str, float] = field(default_factory=dict)
    validators: Mapping[str, float] = field(default_factory=dict)
    health: HealthReport | None = None

    @property
    def active_s(self) -> float:
        """Seconds of training and evaluation."""
        return self.train_s + self.eval_s

    @property
    def unhealthy(self) -> str | None:
        """Symptom of an unhealthy GAN, `kind: figures`; None if it is healthy or not checked."""
        return None if self.health is None else self.health.unhealthy

    def target_metric(self, metric: str) -> float | None:
        """Return a metric of f_T on target_val, in [0, 1]; None if it is not known.

        Args:
            metric: a key of `adaptune.training.metrics.METRICS`.
        """
        if metric == ACCURACY:
            return self.target_val_accuracy
        value: float | None = getattr(self.target_val, metric, None)
        return value

    def target_metrics(self) -> dict[str, float]:
        """Return the known metrics of f_T on target_val, by their keys in `METRICS`."""
        metrics = {}
        for metric in METRICS:
            value = self.target_metric(metric)
            if value is not None:
                metrics[metric] = value
        return metrics

    def score(self, objective: str) -> tuple[float, float]:
        """Return what the best epoch of a trial has the most of.

        Args:
            objective: a metric on target_val such as `target_val_accuracy`, with the loss deciding
                among equals; a validator's name; or `ensemble`, which ranks trials against each
                other and takes the last epoch of each.

        Raises:
            ValueError: the metric is not known: it needs target labels, and AUROC two classes.
        """
        if objective == ENSEMBLE:
            return float(self.epoch), 0.0
        metric = metric_of(objective)
        if metric is None:
            return self.validators[objective], 0.0
        value = self.target_metric(metric)
        if value is None or self.target_val_loss is None:
            raise ValueError(f"{objective} needs target labels, and AUROC two classes")
        return value, -self.target_val_loss

    def rank_key(self, objective: str) -> tuple[float, ...]:
        """Return the score with NaN as the lowest value: `max` and `sorted` cannot compare NaN."""
        return tuple(-math.inf if math.isnan(value) else value for value in self.score(objective))

    def flat(self) -> dict[str, float | int | str | None]:
        """Return the record as one row of a table: `loss/<term>`, `validator/<name>`, …."""
        row: dict[str, float | int | str | None] = {"epoch": self.epoch}
        row |= {f"loss/{term}": mean for term, mean in self.losses.items()}
        row |= {
            TARGET_VAL: self.target_val_accuracy,
            "target_val_loss": self.target_val_loss,
            "source_val_accuracy": self.source_val_accuracy,
        }
        row |= _columns("target_val", self.target_val) | _columns("source_val", self.source_val)
        row |= {f"gradient_norm/{name}": norm for name, norm in self.gradient_norms.items()}
        row |= {f"validator/{name}": score for name, score in self.validators.items()}
        if self.health is not None:
            health = asdict(self.health)
            unhealthy = health.pop("unhealthy")
            row |= {f"health/{name}": value for name, value in health.items()}
            row["unhealthy"] = unhealthy
        return row | {"train_s": self.train_s, "eval_s": self.eval_s}

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values, for a checkpoint or the study."""
        mappings = ("losses", "gradient_norms", "validators")
        return asdict(self) | {name: dict(getattr(self, name)) for name in mappings}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpochRecord:
        """Return the record that `to_dict` wrote."""
        parsed = dict(values)
        for name, kind in _NESTED.items():
            stored = values.get(name)
            parsed[name] = None if stored is None else kind(**stored)
        return cls(**parsed)

    def to_json(self) -> str:
        """Return the record as JSON; NaN is written as such."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> EpochRecord:
        """Return the record that `to_json` wrote."""
        return cls.from_dict(json.loads(text))


_NESTED: Mapping[str, type[HealthReport | ClassScores]] = {
    "health": HealthReport,
    "source_val": ClassScores,
    "target_val": ClassScores,
}


def _columns(part: str, scores: ClassScores | None) -> dict[str, float | int | str | None]:
    """Return the known metrics on a part of the data, such as `target_val_recall/<class>`."""
    if scores is None:
        return {}
    columns: dict[str, float | int | str | None] = {
        f"{part}_mean_recall": scores.mean_recall,
        f"{part}_macro_f1": scores.macro_f1,
        f"{part}_auroc": scores.auroc,
    }
    columns |= {f"{part}_recall/{name}": recall for name, recall in scores.recall.items()}
    return {name: value for name, value in columns.items() if value is not None}
