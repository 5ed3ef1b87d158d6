from __future__ import annotations

import unicodedata

import pytest

from adaptune.data.class_names import composed_names, describe_differences, list_names
from adaptune.errors import DataError

COMPOSED = "caf\u00e9"
DECOMPOSED = "cafe\u0301"


def test_names_from_macos_are_brought_to_the_composed_form() -> None:
    assert composed_names([DECOMPOSED, "が", "mug"], "mine") == (COMPOSED, "が", "mug")
    hangul = "한국"
    assert composed_names([unicodedata.normalize("NFD", hangul)], "mine") == (hangul,)


def test_two_names_that_differ_only_in_their_form_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        composed_names([DECOMPOSED, "mug", COMPOSED], "mine")
    assert str(caught.value) == (
        "domain mine: two classes are called 'café'; their names differ only in Unicode's form"
        r" ('cafe\u0301' and 'caf\xe9'): merge them"
    )


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Alarm_Clock", "alarm clock"),
        ("Alarm_Clock", "AlarmClock"),
        ("flip-flops", "Flip_Flops"),
        ("TV", "tv"),
        ("Calculator", "Calculators"),
        ("strawberry", "strawbery"),
    ],
)
def test_names_that_are_spelt_alike_are_brought_together(source: str, target: str) -> None:
    assert describe_differences([source, "mug"], [target, "mug"]).splitlines() == [
        f"  only in the source: {source}",
        f"  only in the target: {target}",
        f"  perhaps the same: {source} (source) and {target} (target)",
    ]


def test_names_that_have_nothing_in_common_are_not_brought_together() -> None:
    differences = describe_differences(["cup", "pen"], ["mug", "pen"])
    assert differences == "  only in the source: cup\n  only in the target: mug"


def test_numbers_of_an_image_list_against_names_are_explained() -> None:
    differences = describe_differences(["mug", "pen"], ["0", "1"])
    assert "the classes of one domain are numbers" in differences


def test_of_many_names_the_first_are_listed() -> None:
    names = [f"c{number}" for number in range(345)]
    assert list_names(names).endswith("c19 and 325 more")
    assert list_names(names[:20]).endswith("c19")
