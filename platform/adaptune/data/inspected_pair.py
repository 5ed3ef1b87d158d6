"""Source and target as they are inspected: their parts, copies and statistics."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from adaptune.data.copies import Copy, find_copies, leaks
from adaptune.data.domain import UNLABELLED, Domain, Images
from adaptune.data.domain_pair import open_pair
from adaptune.data.inspection import InspectedDomain, inspect_domain
from adaptune.data.splits import split_source, split_target
from adaptune.data.statistics import ImageStatistics, image_statistics
from adaptune.data.undecoded import check_memory
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec

PARTS = ("source_train", "source_val", "target_train", "target_val", "target_test")
TEST_PART = "target_test"
Parts = npt.NDArray[np.str_]
_BATCH = 512


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
    """

    source: InspectedDomain
    target: InspectedDomain
    parts: Parts
    copies: list[Copy]
    source_statistics: ImageStatistics
    target_statistics: ImageStatistics
    refusals: tuple[str, ...]

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
        image: Images = domain.images[position]
        return image

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


def inspect_pair(spec: DataSpec, seed: int) -> InspectedPair:
    """Read both domains of a search and compare them.

    Args:
        seed: the seed of the search, which decides the parts.

    Raises:
        DataError: a domain cannot be opened, has no readable image, or there is too little memory.
    """
    undecoded_source, undecoded_target = open_pair(spec, seed)
    check_memory([undecoded_source, undecoded_target])
    source = inspect_domain(undecoded_source)
    target = inspect_domain(undecoded_target)
    refusals: list[str] = []
    for role, domain in (("source", source), ("target", target)):
        if not len(domain):
            raise DataError(f"{role} {domain.name}: no image can be read: {domain.unreadable[0]}")
        if domain.unreadable:
            refusals.append(
                f"{len(domain.unreadable)} image(s) of the {role} cannot be read: repair or delete"
                " them"
            )
    refusals += _class_differences(source, target)
    source_parts, source_refusals = _source_parts(source, spec, seed)
    target_parts, target_refusals = _target_parts(source, target, spec, seed)
    refusals += source_refusals + target_refusals
    parts = np.concatenate([source_parts, target_parts])
    copies = find_copies(
        [source.images, target.images],
        np.concatenate([source.digests, target.digests]),
        parts == TEST_PART,
    )
    return InspectedPair(
        source=source,
        target=target,
        parts=parts,
        copies=copies,
        source_statistics=image_statistics(_batches(source.images)),
        target_statistics=image_statistics(_batches(target.images)),
        refusals=tuple(refusals),
    )


def _class_differences(source: InspectedDomain, target: InspectedDomain) -> list[str]:
    if not target.class_names:
        return []
    differences = []
    pairs = (("source", source, target), ("target", target, source))
    for role, domain, other in pairs:
        missing = [name for name in domain.class_names if name not in other.class_names]
        if not missing:
            continue
        names = []
        for name in missing:
            close = difflib.get_close_matches(name, other.class_names, n=1)
            hint = f" (the other domain has {close[0]!r})" if close else ""
            names.append(f"{name!r}{hint}")
        differences.append(f"only the {role} has the class(es) {', '.join(names)}")
    return differences


def _source_parts(source: InspectedDomain, spec: DataSpec, seed: int) -> tuple[Parts, list[str]]:
    parts = np.full(len(source), "source", dtype="<U12")
    unlabelled = int((source.labels == UNLABELLED).sum())
    if unlabelled:
        refusal = f"{unlabelled} image(s) of the source have no label: every source image needs one"
        return parts, [refusal]
    try:
        for part, indices in split_source(source.to_domain(), spec, seed).items():
            parts[indices] = part
    except DataError as error:
        return parts, [str(error)]
    return parts, []


def _target_parts(
    source: InspectedDomain, target: InspectedDomain, spec: DataSpec, seed: int
) -> tuple[Parts, list[str]]:
    parts = np.full(len(target), "target", dtype="<U12")
    domain = _in_order_of(source.class_names, target.to_domain())
    try:
        for part, indices in split_target(domain, spec, seed).items():
            parts[indices] = part
    except DataError as error:
        return parts, [str(error)]
    return parts, []


def _in_order_of(class_names: tuple[str, ...], domain: Domain) -> Domain:
    """Return a domain with another order of the same classes, because the split depends on it."""
    if set(class_names) != set(domain.class_names):
        return domain
    positions = [class_names.index(name) for name in domain.class_names]
    translation = np.array([*positions, UNLABELLED], dtype=np.int64)
    return replace(domain, labels=translation[domain.labels], class_names=class_names)


def _batches(images: Images) -> Iterator[Images]:
    for start in range(0, len(images), _BATCH):
        yield images[start : start + _BATCH]
