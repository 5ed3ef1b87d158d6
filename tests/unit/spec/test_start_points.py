from __future__ import annotations

from collections.abc import Callable

import pytest

from adaptune.spec import SearchSpec

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]

SPACE = """\
loss_weights:
  cycle: {search: uniform, low: 0, high: 10}
  semantic: {search: choice, values: [0, 1]}
  task: 1
model: {generator: {blocks: {search: int, low: 1, high: 5, step: 2}}}
search:
  start_points:
    - """  # the first start point is in line 12


def test_start_points_may_be_nested_or_dotted_and_partial(read: Read) -> None:
    spec = read(
        SPACE + "loss_weights: {cycle: 1, semantic: 0}\n    - {model.generator.blocks: 3}\n"
    )
    assert spec.search.start_points == (
        {"loss_weights.cycle": 1.0, "loss_weights.semantic": 0},
        {"model.generator.blocks": 3},
    )


def test_values_get_the_form_in_which_they_are_drawn(read: Read) -> None:
    text = "{loss_weights.cycle: 1, loss_weights.semantic: 1.0, model.generator.blocks: 3.0}\n"
    (point,) = read(SPACE + text).search.start_points
    types = {path: type(value) for path, value in point.items()}
    assert types == {
        "loss_weights.cycle": float,
        "loss_weights.semantic": float,
        "model.generator.blocks": int,
    }


def test_a_start_point_may_repeat_fixed_values_and_defaults(read: Read) -> None:
    spec = read(SPACE + "loss_weights: {cycle: 1, task: 1, adversarial: 1}\n")
    assert spec.search.start_points == ({"loss_weights.cycle": 1.0},)


def test_a_repeated_start_point_is_tried_once(read: Read) -> None:
    spec = read(SPACE + "loss_weights: {cycle: 1}\n    - {loss_weights.cycle: 1.0}\n")
    assert spec.search.start_points == ({"loss_weights.cycle": 1.0},)


SEARCHED = """\
loss_weights:
  cycle: {search: loguniform, low: 0.1, high: 30}
  information: {search: uniform, low: 0, high: 1}
search:
  start_points:
    - loss_weights: {cycle: 1, information: 0}
    - loss_weights: {cycle: 1, information: 1}
"""


def test_start_points_lose_what_an_override_fixes_and_repeats_go(read: Read) -> None:
    spec = read(SEARCHED, "loss_weights.information=0")
    assert list(spec.space) == ["loss_weights.cycle"]
    assert spec.search.start_points == ({"loss_weights.cycle": 1.0},)


def test_start_points_go_when_overrides_fix_all_of_them(read: Read) -> None:
    assert read(SEARCHED, "loss_weights={cycle: 2}").search.start_points == ()


@pytest.mark.parametrize(
    ("point", "fault"),
    [
        ("{loss_weights.cycle: 11}", ".0: loss_weights.cycle = 11: must be a number from 0 to 10"),
        (
            "{loss_weights.cycle: much}",
            ".0: loss_weights.cycle = much: must be a number from 0 to 10",
        ),
        ("{loss_weights.semantic: true}", ".0: loss_weights.semantic = true: must be one of: 0, 1"),
        (
            "{model.generator.blocks: 2}",
            ".0: model.generator.blocks = 2: must be 1 plus a multiple of 2",
        ),
        (
            "{model.generator.blocks: 7}",
            ".0: model.generator.blocks = 7: must be a number from 1 to 5",
        ),
        ("7", ".0 = 7: must be a mapping such as {loss_weights.cycle: 1}"),
        (
            "{loss_weights.task: 2}",
            ".0: loss_weights.task = 2: is not searched; searched:"
            " loss_weights.cycle, loss_weights.semantic, model.generator.blocks",
        ),
    ],
)
def test_a_start_point_outside_of_the_space_is_refused(fail: Fail, point: str, fault: str) -> None:
    assert fail(SPACE + point + "\n") == [f"space.yaml:12: search.start_points{fault}"]


def test_a_value_whose_distribution_is_faulty_gets_no_second_message(fail: Fail) -> None:
    text = SPACE.replace("low: 0, high: 10", "low: 10, high: 0")
    (line,) = fail(text + "{loss_weights.cycle: 1}\n")
    assert line.startswith("space.yaml:6: loss_weights.cycle: low must be below high")


def test_start_points_must_be_a_list(fail: Fail) -> None:
    assert fail("search: {start_points: 3}\n") == [
        "space.yaml:5: search.start_points = 3: must be a list of settings"
    ]
