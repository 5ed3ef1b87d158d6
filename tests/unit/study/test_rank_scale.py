from __future__ import annotations

import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from adaptune.study.rank_scale import merge, rank_scores

SPACE: dict[str, BaseDistribution] = {"weight": FloatDistribution(0, 1)}


def make_trial(
    number: int, value: float | None = None, state: TrialState = TrialState.COMPLETE
) -> FrozenTrial:
    trial = create_trial(state=state, params={"weight": 0.5}, distributions=SPACE, value=value)
    trial.number = number
    return trial


def test_a_rank_score_is_the_share_of_lower_values() -> None:
    assert rank_scores([0.9, 0.7, 0.8, 0.7]) == [0.875, 0.25, 0.625, 0.25]
    assert rank_scores([0.3]) == [0.5]
    assert rank_scores([]) == []


def test_the_best_of_a_hard_task_is_as_good_as_the_best_of_an_easy_one() -> None:
    easy = [make_trial(index, score) for index, score in enumerate(rank_scores([0.97, 0.99]))]
    own = [make_trial(0, 0.4), make_trial(1, 0.5)]
    merged = merge(easy, own)
    assert [trial.value for trial in merged] == [0.75, 0.25, 0.25, 0.75]
    assert own[0].value == 0.4  # the study is not changed


def test_stopped_and_failed_trials_rank_below_complete_ones_and_keep_their_state() -> None:
    own = [
        make_trial(0, None, TrialState.PRUNED),
        make_trial(1, 0.5),
        make_trial(2, None, TrialState.FAIL),
        make_trial(3, None, TrialState.RUNNING),
    ]
    merged = merge([], own)
    assert [trial.state for trial in merged] == [trial.state for trial in own]
    assert merged[1].value == pytest.approx(2.5 / 3)


def test_earlier_trials_fade_and_the_best_and_the_worst_stay_in_proportion() -> None:
    earlier = [make_trial(index, (index + 0.5) / 20) for index in range(20)]
    own = [make_trial(index, 0.5) for index in range(20)]
    assert len(merge(earlier, [])) == 20
    kept = merge(earlier, own)[: -len(own)]
    assert [trial.number for trial in kept] == [19, 17, 15, 13, 11, 9, 7, 5, 3, 1]
    assert len(merge(earlier, own * 9)) - len(own * 9) == 2
