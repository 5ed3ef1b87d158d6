"""A 0 beside a logarithmic range, in a file."""

from __future__ import annotations

from collections.abc import Callable

from adaptune.spec import SearchSpec

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]
WEIGHT = "{search: loguniform, low: 0.1, high: 10, zero: 0.2}"


def test_0_beside_a_range_must_be_allowed_by_the_field(read: Read, fail: Fail) -> None:
    spec = read(f"loss_weights: {{cycle: {WEIGHT}}}")
    assert spec.space["loss_weights.cycle"].contains(0)
    rate = "{search: loguniform, low: 1e-4, high: 1e-3, zero: 0.2}"
    assert fail(f"training:\n  generator_lr: {rate}\n") == [
        "space.yaml:6: training.generator_lr = 0: must be greater than 0"
    ]


def test_terms_that_must_not_all_be_off_are_refused(fail: Fail) -> None:
    [message] = fail(
        "training: {target_to_source: {semantic: 0}}\n"
        f"loss_weights:\n  adversarial: {WEIGHT}\n  cycle: {WEIGHT}\n"
    )
    assert "loss_weights.adversarial = 0, loss_weights.cycle = 0" in message
    assert "leaves no term that trains G_ts" in message


def test_a_start_point_may_be_0_beside_a_range(read: Read, fail: Fail) -> None:
    points = "search: {start_points: [{loss_weights.cycle: %s}]}\n"
    spec = read(f"loss_weights: {{cycle: {WEIGHT}}}\n" + points % "0")
    assert spec.search.start_points == ({"loss_weights.cycle": 0.0},)
    [message] = fail(f"loss_weights: {{cycle: {WEIGHT}}}\n" + points % "20")
    assert message.endswith("must be a number from 0.1 to 10, or 0")
