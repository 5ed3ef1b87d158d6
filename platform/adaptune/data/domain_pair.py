"""Loading of source and target together, without common samples and with the same classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from adaptune.data.domain import ALL_SAMPLES, FIRST_HALF, SECOND_HALF, UNLABELLED, Domain
from adaptune.data.registry import DOMAINS, find_entry, open_domain, share_samples
from adaptune.data.undecoded import UndecodedDomain, check_memory
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec


def load_pair(spec: DataSpec, seed: int) -> tuple[Domain, Domain]:
    """Load source and target; the labels of both are indices into the source's class names.

    If both are made of the same 5,000 MNIST digits, each gets one half of them.

    Raises:
        DataError: a domain cannot be loaded, the source has unlabelled samples, the classes
            differ, an image could be in both domains, or there is too little memory for both and
            for the parts that they are split into.
    """
    undecoded_source, undecoded_target = open_pair(spec, seed)
    check_memory([undecoded_source, undecoded_target], copies=2)
    source = undecoded_source.decode()
    target = undecoded_target.decode()
    unlabelled = int((source.labels == UNLABELLED).sum())
    if unlabelled:
        raise DataError(
            f"source {source.name}: {unlabelled} of {len(source.labels)} samples have no label;"
            " every source sample needs one"
        )
    return source, _with_classes_of(source, target)


def open_pair(spec: DataSpec, seed: int) -> tuple[UndecodedDomain, UndecodedDomain]:
    """Return the samples of source and target that a search uses, before they are decoded.

    Raises:
        DataError: a domain cannot be opened, or an image could be in both.
    """
    source_half, target_half = _disjoint_halves(spec.source.domain, spec.target.domain)
    root = Path(spec.root).expanduser()
    source = open_domain(spec.source, root=root, seed=seed, half=source_half)
    target = open_domain(spec.target, root=root, seed=seed, half=target_half)
    return source, target


def _disjoint_halves(source: str, target: str) -> tuple[slice, slice]:
    """Return the samples to load of each domain, so that no sample is in both."""
    source_entry = find_entry(source)
    target_entry = find_entry(target)
    if not share_samples(source, target):
        return ALL_SAMPLES, ALL_SAMPLES
    if source_entry.has_halves and target_entry.has_halves:
        return FIRST_HALF, SECOND_HALF
    if source_entry is target_entry:
        raise DataError(
            f"source and target are both {source}: the images of target_test would be seen, with"
            " their labels, in training; name two domains"
        )
    undivided = target if source_entry.has_halves else source
    raise DataError(
        f"{source} and {target} share digits: take {_first_with_halves(source_entry.digits_of)}"
        f" in place of {undivided}, then each side gets its own half"
    )


def _first_with_halves(digits_of: str | None) -> str:
    for name, entry in DOMAINS.items():
        if entry.has_halves and entry.digits_of == digits_of:
            return name
    return "another domain"


def _with_classes_of(source: Domain, target: Domain) -> Domain:
    if source.class_names == target.class_names:
        return target
    if not target.class_names:
        return replace(target, class_names=source.class_names)
    if set(source.class_names) != set(target.class_names):
        raise DataError(
            "source and target must have the same classes:\n"
            f"  source {source.name}: {', '.join(source.class_names)}\n"
            f"  target {target.name}: {', '.join(target.class_names)}"
        )
    # The order can differ: "10" is before "2" among strings but not among integers.
    source_labels = [source.class_names.index(name) for name in target.class_names]
    # An index of -1 reads the last element, so that UNLABELLED remains UNLABELLED.
    translation = np.array([*source_labels, UNLABELLED], dtype=np.int64)
    return replace(target, labels=translation[target.labels], class_names=source.class_names)
