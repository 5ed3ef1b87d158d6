from __future__ import annotations

from collections.abc import Callable

import pytest

from adaptune.spec import SearchSpec
from adaptune.spec.serialize import fingerprint
from adaptune.spec.stop_when import StopWhen

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]


def search(options: str) -> str:
    return f"search: {{{options}}}\n"


def test_a_search_ends_early_only_if_it_is_asked_to(read: Read) -> None:
    assert read("").search.stop_when is None
    spec = read(search("stop_when: {gain_below: 0.3}"))
    assert spec.search.stop_when == StopWhen(gain_below=0.3, confidence=0.95, complete_trials=4)


def test_the_rule_may_change_when_a_search_is_resumed(read: Read) -> None:
    without, with_rule = read(""), read(search("stop_when: {gain_below: 0.3}"))
    assert fingerprint(without) == fingerprint(with_rule)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("stop_when: {}", "search.stop_when.gain_below is required"),
        ("stop_when: {gain_below: 0}", "must be greater than 0"),
        ("stop_when: {gain_below: 1, confidence: 0.995}", "must be <= 0.99"),
        ("stop_when: {gain_below: 1}, metric: infomax", "infomax is none"),
        ("stop_when: {gain_below: 1}, sampler: nsga2", "sampler nsga2 has two"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fail: Fail, options: str, message: str) -> None:
    [line] = fail(search(options))
    assert message in line
