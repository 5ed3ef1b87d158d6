"""Ablation of the best trial: the same configuration without each of its parts."""

from __future__ import annotations

from collections.abc import Mapping

from adaptune.evaluation.confirmation import all_values
from adaptune.evaluation.replication import Configuration
from adaptune.spec.distributions import Value
from adaptune.spec.loss_terms import ABLATIONS
from adaptune.spec.schema import SearchSpec

FULL = "full"
FEATURE_ONLY = "feature only"


def ablations(spec: SearchSpec, sampled: Mapping[str, Value]) -> list[Configuration]:
    """Return the full configuration, and one configuration per ablation that changes it.

    Args:
        sampled: sampled values of the trial.
    """
    full = all_values(spec, sampled)
    configurations = [Configuration(FULL, full)]
    for name, terms in ABLATIONS.items():
        if name == FEATURE_ONLY and not full.get("loss_weights.feature"):
            continue  # nothing would adapt
        off = {f"loss_weights.{term}": 0.0 for term in terms}
        values = full | {path: zero for path, zero in off.items() if path in full}
        if all(values != configuration.values for configuration in configurations):
            configurations.append(Configuration(name, values))
    return configurations


def inactive_ablations(full: Configuration) -> list[str]:
    """Return the ablations that equal the full configuration: their terms are already off."""
    inactive = []
    for name, terms in ABLATIONS.items():
        if not any(full.values.get(f"loss_weights.{term}") for term in terms):
            inactive.append(name)
    return inactive
