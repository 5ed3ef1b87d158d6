from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from adaptune.spec import SearchSpec
from adaptune.spec.distributions import LogUniform
from adaptune.spec.loss_terms import LOSS_TERMS
from adaptune.spec.priors import PUBLISHED, Belief, beliefs
from adaptune.spec.serialize import dump_spec

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]
CYCLE = "loss_weights.cycle"


def cycle(prior: str, low: float = 0.1) -> str:
    return (
        f"loss_weights: {{cycle: {{search: loguniform, low: {low}, high: 10, prior: {prior}}}}}\n"
    )


def beliefs_of(spec: SearchSpec) -> dict[str, Belief]:
    return beliefs(spec.space, spec.method)


@pytest.mark.parametrize("prior", ["2", "{center: 2}"])
def test_a_value_alone_has_a_spread_of_a_fifth_of_the_range(read: Read, prior: str) -> None:
    assert beliefs_of(read(cycle(prior))) == {CYCLE: Belief(2, pytest.approx(0.2 * math.log(100)))}


def test_the_spread_may_be_given(read: Read) -> None:
    assert beliefs_of(read(cycle("{center: 2, spread: 0.7}"))) == {CYCLE: Belief(2, 0.7)}


def test_uniform_ranges_and_integers_have_priors_in_their_own_units(read: Read) -> None:
    spec = read(
        "loss_weights: {information: {search: uniform, low: 0, high: 3, prior: 1}}\n"
        "model: {generator: {blocks: {search: int, low: 1, high: 6, prior: 3}}}\n"
    )
    assert beliefs_of(spec) == {
        "loss_weights.information": Belief(1, pytest.approx(0.6)),
        "model.generator.blocks": Belief(3, 1),
    }


@pytest.mark.parametrize(("method", "center"), [("cyclegan", 10), ("cycada", 1)])
def test_the_published_weight_is_that_of_the_method(read: Read, method: str, center: float) -> None:
    spec = read(f"method: {method}\n" + cycle("published"))
    assert beliefs_of(spec)[CYCLE].center == center
    spread = read(f"method: {method}\n" + cycle("{center: published, spread: 1}"))
    assert beliefs_of(spread)[CYCLE] == Belief(center, 1)


def test_the_identity_weight_of_cyclegan_is_half_of_its_cycle_weight() -> None:
    assert PUBLISHED["cyclegan"]["identity"] == 0.5 * PUBLISHED["cyclegan"]["cycle"]
    for method, weights in PUBLISHED.items():
        for name in weights:
            assert method in LOSS_TERMS[name].methods


def test_a_prior_is_written_as_it_was_given(read: Read) -> None:
    dumped = dump_spec(read(cycle("published")))
    assert "prior: {center: published}" in dumped


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (cycle("20"), "20 is not from 0.1 to 10"),
        (cycle("0"), "0 is not from 0.1 to 10"),
        (cycle("published", low=2), "1 is not from 2 to 10"),
        (
            cycle("2") + "search: {sampler: random}\n",
            "sampler random does not read it; tpe and curves do",
        ),
        (
            "loss_weights: {information: {search: uniform, low: 0, high: 3, prior: published}}\n",
            "no weight is published for it; give a number."
            " Published: task, adversarial, cycle, semantic, feature",
        ),
        (
            "model: {generator: {blocks: {search: int, low: 1, high: 5, prior: published}}}\n",
            "no weight is published for it",
        ),
    ],
)
def test_a_prior_that_makes_no_sense_is_refused(fail: Fail, text: str, message: str) -> None:
    [line] = fail(text)
    assert line.startswith("space.yaml:5: ")
    assert f".prior: {message}" in line


@pytest.mark.parametrize("prior", ["much", "{spread: 1}", "{center: 1, spread: 0}", "[1]"])
def test_a_prior_of_another_form_is_refused(fail: Fail, prior: str) -> None:
    lines = fail(cycle(prior))
    assert all("loss_weights.cycle.prior" in line for line in lines)


def test_a_choice_has_no_prior(fail: Fail) -> None:
    [line] = fail("loss_weights: {cycle: {search: choice, values: [1, 10], prior: 1}}\n")
    assert "unknown key `prior`" in line


def test_a_prior_does_not_change_what_can_be_drawn() -> None:
    distribution = LogUniform.model_validate(
        {"search": "loguniform", "low": 0.1, "high": 10, "prior": 1}
    )
    assert distribution.contains(0.1)
    assert distribution.width == pytest.approx(math.log(100))
