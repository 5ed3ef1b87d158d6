from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.fake_search import make_record

from adaptune.search.protocol import (
    EPOCH,
    OBJECTIVE,
    GroupConfig,
    GroupResult,
    TrialConfig,
    TrialResult,
)

RECORD = make_record(3, 0.75, losses={"cycle": 0.5})
TRIALS = (
    TrialConfig(7, {"loss_weights.cycle": 3.0, "training.gan_loss": "log"}),
    TrialConfig(9, {"loss_weights.cycle": 3.0, "training.gan_loss": "lsgan"}),
)


@pytest.mark.parametrize(
    "config",
    [
        GroupConfig(TRIALS[:1], leader=7),
        GroupConfig(TRIALS, leader=5, ended=frozenset({9}), death="OSError", death_epoch=3),
    ],
)
def test_a_config_survives_tune(config: GroupConfig) -> None:
    assert GroupConfig.from_tune(config.to_tune()) == config


def test_a_group_knows_its_running_trials() -> None:
    config = GroupConfig(TRIALS, leader=7, ended=frozenset({7}))
    assert config.running == TRIALS[1:]
    assert config.running_numbers == (9,)
    assert config.trial(7) == TRIALS[0]


@pytest.mark.parametrize(
    "result",
    [
        GroupResult({4: TrialResult(RECORD, 0.75)}),
        GroupResult({4: TrialResult(RECORD, 0.75), 5: TrialResult(error="nan", done=True)}),
        GroupResult({4: TrialResult(RECORD, 0.75, done=True)}, done=True),
        GroupResult(requeue_reason="no room", done=True),
        GroupResult(done=True),
        GroupResult(),
    ],
)
def test_a_result_survives_tune(result: GroupResult) -> None:
    assert GroupResult.from_tune(result.to_tune()) == result


def test_a_score_that_cannot_be_computed_survives_tune() -> None:
    record = replace(RECORD, validators={"dev": math.nan})
    copy = GroupResult.from_tune(GroupResult({4: TrialResult(record, math.nan)}).to_tune())
    assert math.isnan(copy.records()[4].validators["dev"])


def test_tune_finds_an_epoch_and_an_objective() -> None:
    result = GroupResult({4: TrialResult(RECORD, 0.75)}).to_tune()
    assert (result[EPOCH], result[OBJECTIVE]) == (3, 0.75)


def test_no_value_of_a_result_is_a_mapping_which_tune_would_flatten() -> None:
    result = GroupResult({4: TrialResult(RECORD, 0.75, error="")}, requeue_reason="").to_tune()
    assert not any(isinstance(value, dict) for value in result.values())


def test_a_result_without_an_epoch_shows_tune_nothing_to_compare() -> None:
    result = GroupResult({4: TrialResult(error="step 3: nan", done=True)}, done=True).to_tune()
    assert not {EPOCH, OBJECTIVE} & result.keys()


def test_a_group_that_died_before_its_first_result_has_an_empty_one() -> None:
    assert GroupResult.from_tune(None) == GroupResult()
    assert GroupResult.from_tune({}) == GroupResult()


def test_a_result_that_is_read_again_is_not_parsed_again() -> None:
    tune_result = GroupResult({4: TrialResult(RECORD, 0.75)}).to_tune()
    first = GroupResult.from_tune(tune_result)
    assert GroupResult.from_tune(tune_result).trials[4] is first.trials[4]
    other = GroupResult({4: TrialResult(RECORD, 0.5)})
    assert GroupResult.from_tune(other.to_tune()) == other
