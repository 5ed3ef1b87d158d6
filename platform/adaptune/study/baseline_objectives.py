"""Objectives of the baselines on target_val, which trials are compared with while they train."""

from __future__ import annotations

import math
from collections.abc import Mapping

from adaptune.study.study import SearchStudy

F_S = "f_s"  # the key of f_S itself, where it is not *source only*
_OBJECTIVES = "baseline_objectives"
_SOURCE_CLASSIFIER = "source_classifier"
_VALUES = "values"


def store_baseline_objectives(
    study: SearchStudy, values: Mapping[str, float], source_classifier: str
) -> None:
    """Add objectives to those in the study; values that are not finite are left out.

    Args:
        values: objective by key of the baseline, such as `source_only`, or `F_S`.
        source_classifier: digest of f_S, with which each baseline begins; values of another f_S
            are dropped.
    """
    known = known_baseline_objectives(study, source_classifier)
    known |= {name: value for name, value in values.items() if math.isfinite(value)}
    stored = {_SOURCE_CLASSIFIER: source_classifier, _VALUES: known}
    study.optuna_study.set_user_attr(_OBJECTIVES, stored)


def known_baseline_objectives(
    study: SearchStudy, source_classifier: str | None = None
) -> dict[str, float]:
    """Return the objectives that are known so far, by key of the baseline.

    Args:
        source_classifier: digest of f_S; with another one than when they were stored, none is
            known. None takes them as they are.
    """
    stored = study.optuna_study.user_attrs.get(_OBJECTIVES)
    if stored is None:
        return {}
    if source_classifier not in (None, stored[_SOURCE_CLASSIFIER]):
        return {}
    return dict(stored[_VALUES])
