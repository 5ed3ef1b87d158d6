"""The exported model: written from a checkpoint, loaded, and put to use. Needs neither Ray nor Optuna."""

from adaptune.artifacts.evaluate import evaluate_export
from adaptune.artifacts.export import write_export
from adaptune.artifacts.load import Export, load_export
from adaptune.artifacts.predict import Prediction, predict
from adaptune.artifacts.translate import translate

__all__ = [
    "Export",
    "Prediction",
    "evaluate_export",
    "load_export",
    "predict",
    "translate",
    "write_export",
]
