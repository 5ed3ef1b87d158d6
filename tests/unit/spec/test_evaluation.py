from __future__ import annotations

import pytest
from pydantic import ValidationError

from adaptune.spec.evaluation import EvaluationSpec


@pytest.mark.parametrize("baselines", ["auto", True, False])
def test_baselines_are_trained_automatically_always_or_never(baselines: object) -> None:
    assert EvaluationSpec.model_validate({"baselines": baselines}).baselines == baselines


@pytest.mark.parametrize("tree", [{"baselines": "sometimes"}, {"baseline": True}])
def test_other_values_and_keys_are_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvaluationSpec.model_validate(tree)
