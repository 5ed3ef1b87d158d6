"""The classes that a source and a target are used with, by `data.classes`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptune.data.array_types import Indices, Labels
from adaptune.data.class_names import describe_differences, list_names
from adaptune.data.domain import UNLABELLED, Domain
from adaptune.data.undecoded import UndecodedDomain
from adaptune.errors import DataError
from adaptune.spec.data import ClassRelation


@dataclass(frozen=True)
class ClassMatch:
    """The classes of a pair of domains.

    Attributes:
        class_names: K names, in the order of the source.
        notes: remarks for the user, one line each.
    """

    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def samples_of(self, domain: UndecodedDomain) -> Indices:
        """Return the samples that are unlabelled or of these classes, int64 (N,)."""
        labels = domain.raw.labels
        table = _translation(domain.raw.class_names, self.class_names)
        is_used = (labels == UNLABELLED) | (table[labels] != UNLABELLED)
        return np.flatnonzero(is_used)

    def labels_of(self, domain: UndecodedDomain) -> Labels:
        """Return the labels of the samples to use as indices into these classes, int64 (N,)."""
        table = _translation(domain.raw.class_names, self.class_names)
        return table[domain.raw.labels[domain.indices]]

    def relabel(self, domain: Domain) -> Domain:
        """Return a domain with labels that are indices into these classes."""
        table = _translation(domain.class_names, self.class_names)
        return replace(domain, labels=table[domain.labels], class_names=self.class_names)


def match_classes(
    source: UndecodedDomain, target: UndecodedDomain, relation: ClassRelation
) -> ClassMatch:
    """Return the classes to use.

    Raises:
        DataError: the source has unlabelled samples, the classes are not related as `relation`
            requires, or fewer than two remain.
    """
    _check_source_is_labelled(source)
    source_names = source.raw.class_names
    target_names = target.raw.class_names
    if not target_names:
        match = ClassMatch(source_names)
    elif relation == "intersection":
        match = _intersection(source, target)
    else:
        match = _source_classes(source, target, relation)
    if len(match.class_names) < 2:
        raise DataError(_too_few_classes(source, match.class_names))
    return match


def _check_source_is_labelled(source: UndecodedDomain) -> None:
    labels = source.raw.labels[source.indices]
    unlabelled = int((labels == UNLABELLED).sum())
    if not unlabelled:
        return
    name = source.spec.domain
    if unlabelled == len(labels):
        raise DataError(
            f"source {name} has no labels, and a source needs them: arrange its images in one"
            " folder per class (imagefolder:PATH), or name them with their labels in an image list"
            " (imagelist:PATH) or a Parquet file"
        )
    raise DataError(
        f"source {name}: {unlabelled} of {len(labels)} samples have no label;"
        " every source sample needs one"
    )


def _source_classes(
    source: UndecodedDomain, target: UndecodedDomain, relation: ClassRelation
) -> ClassMatch:
    """Check that the target has the classes of the source, or no others than those."""
    missing = [name for name in source.raw.class_names if name not in target.raw.class_names]
    extra = [name for name in target.raw.class_names if name not in source.raw.class_names]
    if extra or (missing and relation == "equal"):
        raise DataError(_unequal(source, target, missing, extra))
    if relation == "equal":
        return ClassMatch(source.raw.class_names)
    present = _names_with_samples(target)
    absent = [name for name in source.raw.class_names if name not in present]
    if not absent:
        return ClassMatch(source.raw.class_names)
    note = (
        f"target {target.spec.domain} lacks {len(absent)} of {len(source.raw.class_names)} classes:"
        f" {list_names(absent)}. The information term and the validators infomax, bnm, v_measure"
        " and ami assume that all classes occur"
    )
    return ClassMatch(source.raw.class_names, (note,))


def _unequal(
    source: UndecodedDomain, target: UndecodedDomain, missing: list[str], extra: list[str]
) -> str:
    source_names = source.raw.class_names
    target_names = target.raw.class_names
    common = len(source_names) - len(missing)
    lines = [
        f"source and target must have the same classes; {common} are in both:",
        f"  source {source.spec.domain}: {len(source_names)} classes",
        f"  target {target.spec.domain}: {len(target_names)} classes",
        describe_differences(source_names, target_names),
        "Rename the classes that are the same.",
    ]
    if common and not extra:
        lines.append("If the target lacks these classes, set data.classes: target_subset.")
    if common > 1:
        lines.append(f"To use only the {common} common classes, set data.classes: intersection.")
    if len(target_names) == 1 and target.spec.kind == "imagefolder":
        lines.append(
            "If the target has no labels, give the folder that contains its images directly:"
            f" {target.spec.domain}/{target_names[0]}"
        )
    return "\n".join(lines)


def _intersection(source: UndecodedDomain, target: UndecodedDomain) -> ClassMatch:
    """Return the classes of which both domains have samples."""
    in_target = _names_with_samples(target)
    in_source = _names_with_samples(source)
    common = []
    for name in source.raw.class_names:
        if name in in_target and name in in_source:
            common.append(name)
    if not common:
        differences = describe_differences(source.raw.class_names, target.raw.class_names)
        raise DataError(
            f"source {source.spec.domain} and target {target.spec.domain} have no class in"
            f" common:\n{differences}"
        )
    notes = []
    for role, domain in (("source", source), ("target", target)):
        notes += _dropped_note(role, domain, common)
    return ClassMatch(tuple(common), tuple(notes))


def _dropped_note(role: str, domain: UndecodedDomain, common: list[str]) -> list[str]:
    dropped = [name for name in domain.raw.class_names if name not in common]
    if not dropped:
        return []
    match = ClassMatch(tuple(common))
    samples = len(domain.raw.labels) - len(match.samples_of(domain))
    return [
        f"{role} {domain.spec.domain}: {samples:,} sample(s) of {len(dropped)} class(es) that the"
        f" domains do not share are not used: {list_names(dropped)}"
    ]


def _too_few_classes(source: UndecodedDomain, class_names: tuple[str, ...]) -> str:
    names = list_names(class_names) or "none"
    return (
        f"source {source.spec.domain}: a classifier needs at least two classes, but there is"
        f" {len(class_names)}: {names}. Give a domain with a folder or a label for each class"
    )


def _names_with_samples(domain: UndecodedDomain) -> set[str]:
    labels = domain.raw.labels
    indices = np.unique(labels[labels != UNLABELLED])
    return {domain.raw.class_names[index] for index in indices}


def _translation(names: tuple[str, ...], class_names: tuple[str, ...]) -> Labels:
    """Return the index in `class_names` of each name, or `UNLABELLED`: int64 (len(names) + 1,).

    The last element is for an index of -1, so that `UNLABELLED` remains `UNLABELLED`.
    """
    index_of = {name: index for index, name in enumerate(class_names)}
    table = [index_of.get(name, UNLABELLED) for name in names]
    return np.array([*table, UNLABELLED], dtype=np.int64)
