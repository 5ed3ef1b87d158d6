from __future__ import annotations

from collections.abc import Callable

import pytest

from adaptune.spec import SearchSpec

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]


def test_both_directions_count_alike_by_default(read: Read) -> None:
    factors = read("").trial({}).training.target_to_source
    assert factors.model_dump() == {"adversarial": 1, "cycle": 1, "semantic": 1}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{adversarial: 0}", "training.target_to_source.adversarial = 0: must be greater than 0"),
        ("{cycle: -1}", "training.target_to_source.cycle = -1: must be >= 0"),
    ],
)
def test_a_factor_that_makes_no_sense_is_refused(fail: Fail, text: str, fault: str) -> None:
    (line,) = fail(f"training: {{target_to_source: {text}}}\n")
    assert line.endswith(fault)


def test_cyclegan_cannot_search_the_factor_of_cycadas_term(fail: Fail) -> None:
    path = "training.target_to_source.semantic"
    (line,) = fail("method: cyclegan\n", f"{path}={{search: uniform, low: 0, high: 1}}")
    assert line.startswith(f"--set {path}: {path}: has no effect in method cyclegan")


def test_g_ts_needs_a_term(fail: Fail) -> None:
    text = "training: {target_to_source: {semantic: 0}}\nloss_weights: {adversarial: 0, cycle: 0}\n"
    (line,) = fail(text)
    assert line.endswith(
        "training.target_to_source.semantic: 0 leaves no term that trains G_ts: set"
        " loss_weights.cycle or loss_weights.adversarial above 0, or leave the factor out"
    )


def test_adapted_labels_need_a_moving_average(read: Read, fail: Fail) -> None:
    text = "training: {semantic_target_labels: adapted}\n"
    (line,) = fail(text)
    assert line.endswith(
        "training.semantic_target_labels: adapted reads f_T's moving average: set"
        " training.classifier_ema_decay, for example to 0.99"
    )
    average = "training.classifier_ema_decay=0.99"
    assert read(text, average).trial({}).training.semantic_target_labels == "adapted"
    assert read(text, "method=cyclegan").method == "cyclegan"
