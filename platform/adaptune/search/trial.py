"""From the search's spec and sampled values to one trial's job."""

from __future__ import annotations

from collections.abc import Mapping

from adaptune.execution.base import TrialJob
from adaptune.results.folder import ResultsFolder
from adaptune.seeding import derive_seed
from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.guide import TARGET_VAL


def make_job(
    spec: SearchSpec, number: int, values: Mapping[str, Value], folder: ResultsFolder
) -> TrialJob:
    """The trial `number` of a search: nothing in it is left to chance but by its own seed."""
    return TrialJob(
        number=number,
        spec=spec.trial(values, seed=derive_seed(spec.seed, "trial", number)),
        checkpoints=checkpoint_folder(spec, number, folder),
        metric=spec.search.metric,
        health=spec.search.health != "off",
    )


def checkpoint_folder(spec: SearchSpec, number: int, folder: ResultsFolder) -> CheckpointFolder:
    """Where the checkpoints of trial `number` lie."""
    return CheckpointFolder(folder.checkpoints(number), keep=spec.storage.keep_checkpoints)


def format_objective(metric: str, value: float) -> str:
    """What guides the search: `target_val 89.7%`, `v_measure 0.8124`."""
    return f"target_val {value:.1%}" if metric == TARGET_VAL else f"{metric} {value:.4f}"


def format_values(values: Mapping[str, Value]) -> str:
    """The values on one line, by their last names: `cycle=1.15 semantic=0.177`."""
    return " ".join(f"{key.split('.')[-1]}={_short(value)}" for key, value in values.items())


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
