"""Exported models: written from a checkpoint, loaded and applied, without Ray and Optuna."""

from adaptune.artifacts.evaluate import Evaluation, evaluate_export
from adaptune.artifacts.export import write_export
from adaptune.artifacts.load import Export, load_export
from adaptune.artifacts.predict import Prediction, classify_encoded, predict
from adaptune.artifacts.translate import translate

__all__ = [
    "Evaluation",
    "Export",
    "Prediction",
    "classify_encoded",
    "evaluate_export",
    "load_export",
    "predict",
    "translate",
    "write_export",
]
