from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.fake_search import make_record

from adaptune.search.protocol import EPOCH, OBJECTIVE, TrialConfig, TrialResult

RECORD = make_record(3, 0.75, losses={"cycle": 0.5})


def test_a_config_survives_tune() -> None:
    config = TrialConfig(7, {"loss_weights.cycle": 3.0, "training.gan_loss": "log"})
    assert TrialConfig.from_tune(config.to_tune()) == config


@pytest.mark.parametrize(
    "result",
    [
        TrialResult(record=RECORD, objective=0.75),
        TrialResult(record=RECORD, objective=0.75, done=True),
        TrialResult(error="step 3: nan", done=True),
        TrialResult(requeue_reason="no room", done=True),
        TrialResult(done=True),
        TrialResult(),
    ],
)
def test_a_result_survives_tune(result: TrialResult) -> None:
    assert TrialResult.from_tune(result.to_tune()) == result


def test_a_score_that_cannot_be_computed_survives_tune() -> None:
    record = replace(RECORD, validators={"dev": math.nan})
    copy = TrialResult.from_tune(TrialResult(record=record, objective=math.nan).to_tune())
    assert copy.record is not None
    assert math.isnan(copy.record.validators["dev"])


def test_rays_schedulers_find_the_epoch_and_the_objective() -> None:
    result = TrialResult(record=RECORD, objective=0.75).to_tune()
    assert (result[EPOCH], result[OBJECTIVE]) == (3, 0.75)


def test_no_value_of_a_result_is_a_mapping_which_tune_would_flatten() -> None:
    result = TrialResult(record=RECORD, objective=0.75, error="", requeue_reason="").to_tune()
    assert not any(isinstance(value, dict) for value in result.values())


def test_a_result_without_an_epoch_shows_rays_schedulers_nothing_to_compare() -> None:
    assert TrialResult(error="step 3: nan", done=True).to_tune() == {
        "error": "step 3: nan",
        "done": True,
    }


def test_a_trial_that_died_before_its_first_result_has_an_empty_one() -> None:
    assert TrialResult.from_tune(None) == TrialResult()
    assert TrialResult.from_tune({}) == TrialResult()


def test_what_tune_adds_to_a_result_is_ignored() -> None:
    result = TrialResult(record=RECORD, objective=0.75).to_tune()
    assert TrialResult.from_tune(result | {"pid": 1, "config/number": 3}) == TrialResult(
        record=RECORD, objective=0.75
    )
