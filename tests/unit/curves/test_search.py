from __future__ import annotations

import math

import numpy as np
import pytest

from adaptune.curves.kernel import Array
from adaptune.curves.search import Curve, CurveSearch, expected_gain, is_audited, logit

HORIZON = 9


def accuracy(position: float, epoch: int) -> float:
    return (0.3 + 0.6 * math.exp(-8 * (position - 0.7) ** 2)) * (1 - 0.6**epoch)


def curve(number: int, position: float, epochs: int, **state: bool) -> Curve:
    values = {epoch: accuracy(position, epoch) for epoch in range(1, epochs + 1)}
    return Curve(number, (position, 0.5), values, **state)


def ended(count: int = 8) -> list[Curve]:
    """Trials over the range of the first setting, of which every third one is complete."""
    curves = []
    for number in range(count):
        epochs = HORIZON if number % 3 == 0 else 2
        curves.append(curve(number, (number + 0.5) / count, epochs, has_ended=True))
    return curves


def make_search(startup: int = 6) -> CurveSearch:
    return CurveSearch(HORIZON, startup, lambda positions: positions, images=1000)


def propose(curves: list[Curve], seed: int = 0, **fixed: float) -> Array | None:
    positions = {int(name[1:]): position for name, position in fixed.items()}
    return make_search().propose(curves, positions, np.random.default_rng(seed))


def test_the_next_trial_is_near_the_best_settings_or_where_little_is_known() -> None:
    proposal = propose(ended(16))
    assert proposal is not None
    assert abs(proposal[0] - 0.7) < 0.2
    assert np.all((proposal >= 0) & (proposal <= 1))


def test_there_is_no_proposal_before_enough_trials_or_if_none_of_them_can_be_predicted() -> None:
    assert propose(ended(5)) is None
    random = np.random.default_rng(3)
    noise = [
        Curve(number, tuple(random.uniform(size=2)), {1: random.uniform()}, has_ended=True)
        for number in range(12)
    ]
    ready = [make_search(startup).is_ready(noise) for startup in range(6, 12)]
    assert not all(ready)


def test_fixed_settings_stay_and_the_same_curves_give_the_same_proposal() -> None:
    proposal = propose(ended(), x1=0.125)
    assert proposal is not None
    assert proposal[1] == 0.125
    assert np.array_equal(propose(ended(), x1=0.125), proposal)
    search = make_search()
    for count in range(6, 9):  # what it remembers changes nothing
        search.propose(ended()[:count], {}, np.random.default_rng(0))
    again = search.propose(ended(), {1: 0.125}, np.random.default_rng(0))
    assert np.array_equal(again, proposal)


def test_settings_that_a_trial_tries_now_are_not_proposed_again() -> None:
    first = propose(ended())  # the second setting has had one value only
    assert first is not None
    second = propose([*ended(), Curve(8, (float(first[0]), float(first[1])), {})])
    assert second is not None
    assert np.linalg.norm(second - first) > 0.2


def test_settings_like_those_that_failed_are_avoided() -> None:
    failed = []
    for number in range(8, 12):
        position = (number - 7.5) / 4
        values = {1: accuracy(position, 1)}
        failed.append(Curve(number, (position, 0.9), values, has_ended=True, has_failed=True))
    proposals = {}
    for name, trials in (("before", ended()), ("after", [*ended(), *failed])):
        proposal = propose(trials, x0=0.7)
        assert proposal is not None
        proposals[name] = proposal[1]
    assert proposals["before"] > 0.7 > proposals["after"]


@pytest.mark.parametrize(("position", "stops"), [(0.05, True), (0.6, False)])
def test_a_trial_is_stopped_if_it_will_hardly_become_the_best(position: float, stops: bool) -> None:
    others = [curve(number, 0.05 * number, 9 - number, has_ended=True) for number in range(8)]
    assert make_search().stops([*others, curve(8, position, 2)], 8) == stops


def test_the_first_trials_and_ever_fewer_later_ones_are_audited() -> None:
    audited = [number for number in range(100) if is_audited(number)]
    assert audited == [0, 1, 7, 15, 31, 63]


def test_the_only_contender_continues() -> None:
    stopped = [curve(number, number / 8, 2, has_ended=True) for number in range(8)]
    assert not make_search().stops([*stopped, curve(8, 0.05, 2)], 8)


def test_a_long_search_is_modelled_by_a_part_of_its_epochs() -> None:
    curves = ended(400)
    assert len(make_search()._observations(curves).values) == 256
    proposal = make_search().propose(curves, {}, np.random.default_rng(0))
    assert proposal is not None
    assert abs(proposal[0] - 0.7) < 0.2


def test_a_running_trial_counts_with_its_own_epochs_in_a_long_search() -> None:
    observations = make_search()._observations([*ended(400), curve(400, 0.31, 2)])
    assert list(observations.epochs[observations.trials == 400]) == [1, 2]
    assert len(observations.values) == 256


def test_a_failure_is_the_worst_value_in_the_epoch_that_was_not_reached() -> None:
    at_once = Curve(8, (0.5, 0.5), {}, has_ended=True, has_failed=True)
    later = Curve(9, (0.5, 0.5), {1: 0.4, 2: 0.5}, has_ended=True, has_failed=True)
    observations = make_search()._observations([*ended(), at_once, later])
    assert list(observations.epochs[observations.trials == 8]) == [1]
    assert list(observations.epochs[observations.trials == 9]) == [1, 2, 3]
    worst = observations.values.min()
    assert observations.values[observations.trials == 8][0] == worst
    assert observations.values[observations.trials == 9][2] == worst


def test_the_expected_gain_has_its_closed_form() -> None:
    means, stds = np.array([0.0, 1.0, -40.0]), np.array([1.0, 1e-9, 1.0])
    gains = expected_gain(means, stds, 0.0)
    assert gains == pytest.approx([1 / math.sqrt(2 * math.pi), 1.0, 0.0])


def test_log_odds_have_the_variance_of_binomial_counts() -> None:
    values, variances = logit(np.array([0.8, 1.0]), 100)
    assert values[0] == pytest.approx(math.log(4))
    random = np.random.default_rng(0)
    counted, _ = logit(random.binomial(100, 0.8, size=20_000) / 100, 100)
    assert variances[0] == pytest.approx(counted.var(), rel=0.1)
    assert np.all(np.isfinite([values[1], variances[1]]))
