from __future__ import annotations

import pytest
from pydantic import ValidationError

from adaptune.spec.search import SearchOptions


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_that_model_results_learn_from_other_studies(sampler: str) -> None:
    options = SearchOptions.model_validate({"sampler": sampler, "warm_start": ["results/old"]})
    assert options.warm_start == ("results/old",)


@pytest.mark.parametrize("sampler", ["cmaes", "random", "grid", "qmc", "nsga2"])
def test_other_samplers_refuse_a_warm_start(sampler: str) -> None:
    message = f"{sampler} cannot learn from other studies; tpe and gp can"
    with pytest.raises(ValidationError, match=message):
        SearchOptions.model_validate({"sampler": sampler, "warm_start": ["results/old"]})


def test_curves_need_values_that_do_not_change_and_one_objective() -> None:
    for part in ("sampler", "scheduler"):
        with pytest.raises(ValidationError, match="ensemble ranks epochs, so that curves change"):
            SearchOptions.model_validate({part: "curves", "metric": "ensemble"})
    with pytest.raises(ValidationError, match="curves have one objective, and sampler nsga2 has"):
        SearchOptions.model_validate({"sampler": "nsga2", "scheduler": "curves"})
    SearchOptions.model_validate({"sampler": "curves", "scheduler": "curves", "metric": "infomax"})


def test_nsga2_alone_has_two_objectives() -> None:
    assert SearchOptions.model_validate({"sampler": "nsga2"}).objectives == 2
    assert SearchOptions().objectives == 1
