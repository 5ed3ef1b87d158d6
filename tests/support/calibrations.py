"""Calibrations of classifiers for the target."""

from __future__ import annotations

from typing import Any

from adaptune.training.temperature import TargetCalibration


def make_calibration(**changes: Any) -> TargetCalibration:
    values = {
        "temperature": 2.0,
        "samples": 500,
        "effective_samples": 120.4,
        "source_val_error": (0.1, 0.02),
        "target_val_error": (0.15, 0.05),
        "abstention_accuracy": 0.95,
        "threshold_from": "target_val",
        "threshold": 0.8,
        "coverage": 0.7,
        "covered_target_val_accuracy": 0.94,
    }
    return TargetCalibration.model_validate(values | changes)
