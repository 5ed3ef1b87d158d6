"""The job of one trial, and its values in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adaptune.execution.runtime import TrialJob
from adaptune.results.folder import ResultsFolder
from adaptune.seeding import derive_seed
from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec
from adaptune.training.identity import TrialInputs, trial_identity


def make_job(
    spec: SearchSpec,
    number: int,
    values: Mapping[str, Value],
    folder: ResultsFolder,
    inputs: TrialInputs,
    *,
    leader: int | None = None,
) -> TrialJob:
    """Return the job of trial `number`; its result depends on values, seed and inputs only.

    Args:
        leader: number of the first trial of its group, whose seed and folder all of them have; None
            if the trial shares its GAN with no other.
    """
    first = number if leader is None else leader
    trial_spec = spec.trial(values, seed=derive_seed(spec.seed, "trial", first))
    classifiers = (inputs.source_classifier, *inputs.earlier_source_classifiers)
    identity, *earlier = (trial_identity(trial_spec, inputs.data, f_s) for f_s in classifiers)
    return TrialJob(
        number=number,
        spec=trial_spec,
        checkpoints=replace(
            folder.checkpoints(first), identity=identity, earlier_identities=tuple(earlier)
        ),
        metric=spec.search.metric,
        check_health=spec.search.health != "off",
    )


def format_values(values: Mapping[str, Value]) -> str:
    """Return sampled values in one line, by their last names: `cycle=1.15 semantic=0.177`."""
    parts = []
    for path, value in values.items():
        text = f"{value:.3g}" if isinstance(value, float) else str(value)
        parts.append(f"{path.split('.')[-1]}={text}")
    return " ".join(parts)
