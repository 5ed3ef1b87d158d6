"""What says which epoch of a trial, and which trial of a search, is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TARGET_VAL = "target_val_accuracy"
ENSEMBLE = "ensemble"


def score(record: Mapping[str, Any], metric: str) -> tuple[float, float]:
    """What the best epoch of a trial has most of.

    Args:
        record: an epoch's, as `fit` yields it.
        metric: `target_val_accuracy`, where the loss decides among equals; a validator's name; or
            `ensemble`, which ranks trials against each other and takes the last epoch of each.
    """
    if metric == TARGET_VAL:
        return record[TARGET_VAL], -record["target_val_loss"]
    if metric == ENSEMBLE:
        return record["epoch"], 0.0
    return record[f"validator/{metric}"], 0.0
