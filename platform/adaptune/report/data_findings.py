"""Findings of an inspection in words, the most important first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from adaptune.data.copies import Copy
from adaptune.data.inspected_pair import TEST_PART, InspectedPair
from adaptune.text import escape_control

_UNEQUAL_RATIO = 3
_SMALL_TEST = 200
_LARGEST_SHIFT = 0.1


@dataclass(frozen=True)
class DataFinding:
    """A finding on the data.

    Attributes:
        level: `fault` if the data must be repaired before a search, `warning` if a search is
            possible and its result may suffer, `ok` if there is nothing to do.
        message: one or two sentences, or several lines.
    """

    level: Literal["fault", "warning", "ok"]
    message: str


def findings(pair: InspectedPair) -> list[DataFinding]:
    """Return the findings on two domains; faults are before warnings."""
    exact = [copy for copy in pair.leaks if copy.similarity is None]
    near = [copy for copy in pair.leaks if copy.similarity is not None]
    faults = _leaks(pair, exact, "also in")
    faults += [_as_sentence(refusal) for refusal in pair.refusals]
    # Two different images can be this similar, so that only a person can decide.
    suspicions = _leaks(pair, near, "nearly the same as one in")
    warnings = [
        *suspicions,
        *_notes(pair),
        *_contradictions(pair),
        *_copies(pair),
        *_unequal_classes(pair),
        *_blank_images(pair),
        *_small_test(pair),
    ]
    result = [DataFinding("fault", escape_control(message, keep="\n")) for message in faults]
    if not faults and not suspicions:
        result.append(DataFinding("ok", _approval(pair)))
    result += [DataFinding("warning", escape_control(message)) for message in warnings]
    return result


def describe_similarity(copy: Copy) -> str:
    """Return how similar two copies are: `same file`, or `0.998`."""
    return "same file" if copy.similarity is None else f"{copy.similarity:.3f}"


def _approval(pair: InspectedPair) -> str:
    message = "Nothing stands in the way of a search."
    if TEST_PART in pair.parts:
        message += " No image of target_test is in another part."
    return message


def _leaks(pair: InspectedPair, copies: list[Copy], relation: str) -> list[str]:
    if not copies:
        return []
    subject = _images_are(len(copies), TEST_PART)
    places = _places(pair, copies)
    consequence = "If they are copies, the test score is too high"
    if copies[0].similarity is None:
        consequence = "The test score would be too high"
    return [
        f"{subject} {relation} {places}. {consequence}: check the pairs below, and remove one of"
        " each."
    ]


def _places(pair: InspectedPair, copies: list[Copy]) -> str:
    """Return the parts of the other images: `the source and target_train`."""
    names = []
    for copy in copies:
        part = str(pair.parts[copy.second])
        names.append("the source" if part.startswith("source") else part)
    places = sorted(set(names))
    *others, last = places
    return f"{', '.join(others)} and {last}" if others else last


def _images_are(count: int, place: str) -> str:
    if count == 1:
        return f"1 image of {place} is"
    return f"{count:,} images of {place} are"


def _as_sentence(text: str) -> str:
    sentence = text[0].upper() + text[1:]
    return sentence if sentence.endswith(".") else f"{sentence}."


def _notes(pair: InspectedPair) -> list[str]:
    """Return remarks on the classes that a search would use, and on the range of the values."""
    notes = [_as_sentence(note) for note in pair.notes]
    for role, domain in (("source", pair.source), ("target", pair.target)):
        if domain.range_note is not None:
            notes.append(f"In the {role}, {domain.range_note}.")
    return notes


def _contradictions(pair: InspectedPair) -> list[str]:
    count = 0
    for copy in pair.copies:
        first = pair.class_name(copy.first)
        second = pair.class_name(copy.second)
        if first is not None and second is not None and first != second:
            count += 1
    if not count:
        return []
    return [f"{count:,} pair(s) of copies are in different classes: one of the labels is wrong."]


def _copies(pair: InspectedPair) -> list[str]:
    """Return the number of copies outside of leaks, by where they are."""
    counts: Counter[str] = Counter()
    for copy in pair.copies:
        first, second = str(pair.parts[copy.first]), str(pair.parts[copy.second])
        if TEST_PART in (first, second) and first != second:
            continue
        sides = {first.partition("_")[0], second.partition("_")[0]}
        if len(sides) == 1:
            counts[f"within the {sides.pop()}"] += 1
        else:
            counts["in both source and target"] += 1
    if not counts:
        return []
    places = ", ".join(f"{count:,} {place}" for place, count in counts.items())
    return [f"Pairs of the same or nearly the same image: {places}."]


def _unequal_classes(pair: InspectedPair) -> list[str]:
    messages = []
    shares = {}
    for role, domain in (("source", pair.source), ("target", pair.target)):
        counts = np.bincount(domain.labels[domain.labels >= 0], minlength=len(domain.class_names))
        counts = counts[counts > 0]
        if not len(counts):
            continue
        shares[role] = counts / counts.sum()
        if counts.max() >= _UNEQUAL_RATIO * counts.min():
            message = (
                f"The largest class of the {role} has {counts.max() / counts.min():.1f} times as"
                " many images as the smallest."
            )
            if role == "target":
                message += " The information term assumes balanced classes: keep 0 in its range."
            messages.append(message)
    is_same_length = len({len(share) for share in shares.values()}) == 1
    if len(shares) == 2 and is_same_length and pair.source.class_names == pair.target.class_names:
        moved = float(abs(shares["source"] - shares["target"]).sum() / 2)
        if moved > _LARGEST_SHIFT:
            messages.append(
                f"The classes are not equally frequent in both domains: {moved:.0%} of the images"
                " would have to change their class."
            )
    return messages


def _blank_images(pair: InspectedPair) -> list[str]:
    messages = []
    domains = (
        ("source", pair.source, pair.source_statistics),
        ("target", pair.target, pair.target_statistics),
    )
    for role, domain, statistics in domains:
        if len(statistics.blank):
            example = domain.image_name(int(statistics.blank[0]))
            subject = _images_are(len(statistics.blank), f"the {role}")
            messages.append(f"{subject} of one colour, such as {example}.")
    return messages


def _small_test(pair: InspectedPair) -> list[str]:
    size = int((pair.parts == TEST_PART).sum())
    if not 0 < size < _SMALL_TEST:
        return []
    error = 100 * (0.7 * 0.3 / size) ** 0.5
    return [
        f"target_test has {size} images: at an accuracy of 70%, the standard error is"
        f" {error:.1f} points."
    ]
