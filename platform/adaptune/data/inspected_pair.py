"""Source and target as they are inspected: their parts, copies and statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Images, Indices
from adaptune.data.copies import Copy, find_copies, leaks
from adaptune.data.domain import UNLABELLED
from adaptune.data.domain_pair import PairProgress, match_domains, open_domains, progress_of
from adaptune.data.identity import DataIdentity, identify_split
from adaptune.data.image_set import in_batches
from adaptune.data.inspection import InspectedDomain, inspect_domain
from adaptune.data.parts import divide_source, divide_target
from adaptune.data.statistics import ImageStatistics, image_statistics
from adaptune.data.undecoded import check_memory
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec

PARTS = ("source_train", "source_val", "target_train", "target_val", "target_test")
TEST_PART = "target_test"
Parts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class InspectedPair:
    """Both domains of a search, and what they have in common.

    Indices run through the N_s images of the source and then the N_t images of the target.

    Attributes:
        source: the labelled domain.
        target: the domain to adapt to.
        parts: the part that each image belongs to, (N_s + N_t,); `source` or `target` if that
            domain cannot be split.
        copies: images that are the same or nearly the same.
        source_statistics: brightness and colour of the source.
        target_statistics: brightness and colour of the target.
        refusals: the reasons why a search would not begin.
        notes: remarks on the classes that a search would use, one line each.
        identity: identity of the data of a search; None if it would not begin.
    """

    source: InspectedDomain
    target: InspectedDomain
    parts: Parts
    copies: list[Copy]
    source_statistics: ImageStatistics
    target_statistics: ImageStatistics
    refusals: tuple[str, ...]
    notes: tuple[str, ...]
    identity: DataIdentity | None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the source, and then those that only the target has."""
        source = self.source.class_names
        return source + tuple(name for name in self.target.class_names if name not in source)

    @property
    def leaks(self) -> list[Copy]:
        """The copy outside the test set of each image of the test set that has one."""
        return leaks(self.copies, self.parts == TEST_PART)

    def locate(self, index: int) -> tuple[InspectedDomain, int]:
        """Return the domain of an image and its index there."""
        count = len(self.source)
        if index < count:
            return self.source, index
        return self.target, index - count

    def image_name(self, index: int) -> str:
        """Return the name of an image in its domain."""
        domain, position = self.locate(index)
        return domain.image_name(position)

    def image(self, index: int) -> Images:
        """Return an image as the networks see it: uint8 (C, H, W)."""
        domain, position = self.locate(index)
        return domain.image(position)

    def class_name(self, index: int) -> str | None:
        """Return the class of an image, or None if it is unlabelled."""
        domain, position = self.locate(index)
        label = int(domain.labels[position])
        return None if label == UNLABELLED else domain.class_names[label]

    def count(self, part: str, class_name: str | None) -> int:
        """Return the number of images of a part and a class; the class None is unlabelled."""
        is_source = part.startswith("source")
        domain = self.source if is_source else self.target
        parts = self.parts[: len(self.source)] if is_source else self.parts[len(self.source) :]
        label = UNLABELLED
        if class_name is not None:
            if class_name not in domain.class_names:
                return 0
            label = domain.class_names.index(class_name)
        return int(((parts == part) & (domain.labels == label)).sum())


def inspect_pair(spec: DataSpec, seed: int, progress: PairProgress | None = None) -> InspectedPair:
    """Prepare both domains of a search, and compare them.

    Args:
        seed: the seed of the search, which decides the parts.
        progress: called while the images of a domain are prepared.

    Raises:
        DataError: a domain cannot be opened, has no readable image, or there is too little memory.
    """
    undecoded_source, undecoded_target = open_domains(spec, seed)
    match = None
    refusals: list[str] = []
    try:
        pair = match_domains(undecoded_source, undecoded_target, spec, seed)
    except DataError as error:
        refusals.append(str(error))
    else:
        undecoded_source, undecoded_target, match = pair.source, pair.target, pair.match
    check_memory([undecoded_source, undecoded_target])
    source = inspect_domain(undecoded_source, match, progress_of("source", progress))
    target = inspect_domain(undecoded_target, match, progress_of("target", progress))
    split, split_refusals = _split(source, target, spec, seed)
    refusals = [*_unreadable(source, target), *refusals, *split_refusals]
    parts = _part_names(source, target, split)
    identity = None
    if not refusals:
        identity = DataIdentity(source.identity, target.identity, identify_split(split))
    return InspectedPair(
        source=source,
        target=target,
        parts=parts,
        copies=find_copies([source.images, target.images], parts == TEST_PART),
        source_statistics=image_statistics(in_batches(source.images)),
        target_statistics=image_statistics(in_batches(target.images)),
        refusals=tuple(refusals),
        notes=() if match is None else match.notes,
        identity=identity,
    )


def _unreadable(source: InspectedDomain, target: InspectedDomain) -> list[str]:
    refusals = []
    for role, domain in (("source", source), ("target", target)):
        if domain.unreadable:
            refusals.append(
                f"{len(domain.unreadable):,} image(s) of the {role} cannot be read: repair or"
                " delete them"
            )
    return refusals


def _split(
    source: InspectedDomain, target: InspectedDomain, spec: DataSpec, seed: int
) -> tuple[dict[str, Indices], list[str]]:
    """Return the samples of each part, and the reasons why a domain has none."""
    split: dict[str, Indices] = {}
    refusals = []
    if not (source.labels == UNLABELLED).any():  # which is a reason why the domains do not match
        try:
            split |= divide_source(source.samples, spec, seed)
        except DataError as error:
            refusals.append(str(error))
    try:
        split |= divide_target(target.samples, spec, seed)
    except DataError as error:
        refusals.append(str(error))
    return split, refusals


def _part_names(
    source: InspectedDomain, target: InspectedDomain, split: Mapping[str, Indices]
) -> Parts:
    """Return the part of each image; `source` or `target` if that domain cannot be split."""
    of_source = np.full(len(source), "source", dtype="<U12")
    of_target = np.full(len(target), "target", dtype="<U12")
    for part in PARTS:  # the labelled images for training are in target_train, too
        names = of_source if part.startswith("source") else of_target
        if part in split:
            names[split[part]] = part
    return np.concatenate([of_source, of_target])
