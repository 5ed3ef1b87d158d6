from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptune.data.array_types import Labels
from adaptune.data.class_match import ClassMatch, match_classes
from adaptune.data.domain import RawDomain
from adaptune.data.undecoded import UndecodedDomain
from adaptune.errors import DataError
from adaptune.spec.data import ClassRelation, DomainSpec


def domain(kind: str, names: str, labels: list[int] | None = None) -> UndecodedDomain:
    """Return a data set with one sample per class, if no labels are given."""
    class_names = tuple(names.split())
    if labels is None:
        labels = list(range(len(class_names)))
    array: Labels = np.array(labels, dtype=np.int64)
    images = np.zeros((len(labels), 16, 16), np.uint8)
    raw = RawDomain(images, array, class_names)
    return UndecodedDomain(DomainSpec(domain=kind), raw, np.arange(len(labels)), Path("unused"))


def matched(source: str, target: str, relation: ClassRelation = "equal") -> ClassMatch:
    return match_classes(domain("s", source), domain("t", target), relation)


def refused(source: str, target: str, relation: ClassRelation = "equal") -> str:
    with pytest.raises(DataError) as caught:
        matched(source, target, relation)
    return str(caught.value)


def test_classes_that_differ_are_listed_with_near_matches_and_remedies() -> None:
    assert refused("Mug Alarm_Clock Pen Cup", "Pen alarm-clock Mug") == (
        "source and target must have the same classes; 2 are in both:\n"
        "  source s: 4 classes\n"
        "  target t: 3 classes\n"
        "  only in the source: Alarm_Clock, Cup\n"
        "  only in the target: alarm-clock\n"
        "  perhaps the same: Alarm_Clock (source) and alarm-clock (target)\n"
        "Rename the classes that are the same.\n"
        "To use only the 2 common classes, set data.classes: intersection."
    )


def test_the_remedy_for_a_target_that_lacks_classes_is_named() -> None:
    message = refused("mug pen cup", "mug pen")
    assert "If the target lacks these classes, set data.classes: target_subset." in message


def test_a_target_that_has_all_images_in_one_folder_is_perhaps_unlabelled() -> None:
    with pytest.raises(DataError, match=r"directly: imagefolder:photos/all$"):
        match_classes(domain("s", "mug pen"), domain("imagefolder:photos", "all"), "equal")


def test_a_target_subset_keeps_all_classes_and_is_noted() -> None:
    match = matched("mug pen cup", "cup mug", "target_subset")
    assert match.class_names == ("mug", "pen", "cup")
    assert match.notes[0].startswith("target t lacks 1 of 3 classes: pen. The information term")
    assert not matched("mug pen", "pen mug", "target_subset").notes


def test_a_class_that_is_named_but_has_no_sample_counts_as_lacking() -> None:
    target = domain("t", "mug pen cup", [0, 2, 2, -1])
    match = match_classes(domain("s", "mug pen cup"), target, "target_subset")
    assert match.notes[0].startswith("target t lacks 1 of 3 classes: pen")
    match = match_classes(domain("s", "mug pen cup"), target, "intersection")
    assert match.class_names == ("mug", "cup")


def test_a_target_subset_has_no_other_classes_than_the_source() -> None:
    message = refused("mug pen", "mug pen fox", "target_subset")
    assert "only in the target: fox" in message
    assert "target_subset" not in message


def test_an_intersection_has_the_order_of_the_source_and_notes_what_is_dropped() -> None:
    match = matched("mug pen cup", "cup fox mug owl", "intersection")
    assert match.class_names == ("mug", "cup")
    assert match.notes == (
        "source s: 1 sample(s) of 1 class(es) that the domains do not share are not used: pen",
        "target t: 2 sample(s) of 2 class(es) that the domains do not share are not used: fox, owl",
    )


def test_an_intersection_of_no_or_one_class_is_refused() -> None:
    assert "have no class in common:\n  only in the source: mug" in refused(
        "mug pen", "owl fox", "intersection"
    )
    assert "at least two classes, but there is 1: mug" in refused(
        "mug pen", "mug fox", "intersection"
    )


def test_a_source_of_a_single_class_is_refused() -> None:
    assert refused("mug", "mug").startswith("source s: a classifier needs at least two classes")


@pytest.mark.parametrize("relation", ["equal", "target_subset", "intersection"])
def test_an_unlabelled_target_has_any_relation(relation: ClassRelation) -> None:
    target = domain("t", "", [-1, -1])
    assert match_classes(domain("s", "mug pen"), target, relation) == ClassMatch(("mug", "pen"))


def test_a_source_without_labels_is_refused_with_the_remedies() -> None:
    with pytest.raises(DataError) as caught:
        match_classes(domain("imagefolder:flat", "", [-1, -1]), domain("t", "mug pen"), "equal")
    message = str(caught.value)
    assert message.startswith("source imagefolder:flat has no labels, and a source needs them")
    assert "imagefolder:PATH" in message
    assert "imagelist:PATH" in message


def test_unlabelled_samples_are_of_any_classes() -> None:
    target = domain("t", "mug pen cup", [2, -1, 1, 0])
    assert ClassMatch(("cup", "mug")).samples_of(target).tolist() == [0, 1, 3]
