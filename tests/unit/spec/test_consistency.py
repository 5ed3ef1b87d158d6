from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError
from support.fake_search import make_search

from adaptune.spec.augment import AugmentSpec
from adaptune.spec.consistency import ConsistencySpec, StrongAugmentSpec

Fail = Callable[..., list[str]]
TERM = {"loss_weights.consistency": {"search": "uniform", "low": 0, "high": 1}}


def test_the_strong_view_has_other_defaults_than_the_weak_one_but_the_same_options() -> None:
    assert set(StrongAugmentSpec.model_fields) == set(AugmentSpec.model_fields)
    assert StrongAugmentSpec().is_active
    assert not AugmentSpec().is_active


def test_an_option_of_the_strong_view_leaves_the_others_at_their_defaults() -> None:
    spec = ConsistencySpec.model_validate({"augment": {"erase": 0.0}})
    assert spec.augment.erase == 0
    assert spec.augment.policy == "rand"


@pytest.mark.parametrize("tree", [{"threshold": 1.1}, {"mask": 1}, {"mask_grid": 0}])
def test_a_teacher_that_makes_no_sense_is_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ConsistencySpec.model_validate(tree)


def test_the_term_needs_the_moving_average_of_f_t() -> None:
    with pytest.raises(ValueError, match=r"set training\.classifier_ema_decay, for example to"):
        make_search(space=TERM).trial({"loss_weights.consistency": 1.0})
    spec = make_search(space=TERM, training={"classifier_ema_decay": 0.99})
    assert spec.trial({"loss_weights.consistency": 1.0}).loss_weights.consistency == 1


def test_a_search_that_may_draw_the_term_without_a_moving_average_is_refused(fail: Fail) -> None:
    text = (
        "loss_weights: {consistency: {search: choice, values: [0, 1]}}\n"
        "training: {classifier_ema_decay: {search: choice, values: [0.9, 0]}}\n"
    )
    (message,) = fail(text)
    assert message.startswith("space.yaml:5: loss_weights.consistency = 1,")
    assert "training.classifier_ema_decay = 0" in message
    assert "needs the moving average of f_T" in message


def test_a_strong_view_of_colours_needs_colour_images(fail: Fail) -> None:
    (message,) = fail("training: {consistency: {augment: {grey: 0.2}}}\n")
    assert "training.consistency.augment.grey needs images of 3 channels" in message
