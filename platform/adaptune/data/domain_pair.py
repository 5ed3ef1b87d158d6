"""Loading of source and target together, without common samples and with the same class names."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from adaptune.data.class_match import ClassMatch, match_classes
from adaptune.data.domain import ALL_SAMPLES, FIRST_HALF, SECOND_HALF, Domain
from adaptune.data.image_files import ImageFiles
from adaptune.data.registry import (
    DOMAINS,
    choose_samples,
    find_entry,
    open_domain,
    share_samples,
)
from adaptune.data.undecoded import UndecodedDomain, check_memory
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec


def load_pair(spec: DataSpec, seed: int) -> tuple[Domain, Domain]:
    """Load source and target; the labels of both are indices into the same class names.

    If both are made of the same 5,000 MNIST digits, each gets one half of them.

    Raises:
        DataError: a domain cannot be loaded, the source has unlabelled samples, the classes are
            not related as `spec.classes` requires, an image could be in both domains, or there is
            too little memory for both and for the parts that they are split into. Only an
            unreadable image is found after decoding has begun.
    """
    source_half, target_half = _disjoint_halves(spec.source.domain, spec.target.domain)
    root = Path(spec.root).expanduser()
    undecoded_source = open_domain(spec.source, root=root, seed=seed, half=source_half)
    undecoded_target = open_domain(spec.target, root=root, seed=seed, half=target_half)
    match = match_classes(undecoded_source, undecoded_target, spec.classes)
    if spec.classes == "intersection":
        undecoded_source = _restrict(undecoded_source, match, seed)
        undecoded_target = _restrict(undecoded_target, match, seed)
    _check_no_file_is_in_both(undecoded_source, undecoded_target)
    check_memory([undecoded_source, undecoded_target], copies=2)
    source = match.relabel(undecoded_source.decode())
    target = match.relabel(undecoded_target.decode())
    return source, replace(target, notes=(*target.notes, *match.notes))


def _restrict(domain: UndecodedDomain, match: ClassMatch, seed: int) -> UndecodedDomain:
    """Reduce a domain to the samples of the matched classes, and then to its `limit`."""
    samples = match.samples_of(domain)
    chosen = choose_samples(domain.spec, domain.raw.labels[samples], seed)
    return replace(domain, indices=samples[chosen])


def _check_no_file_is_in_both(source: UndecodedDomain, target: UndecodedDomain) -> None:
    """Compare the paths of image files; image lists may name files of any folder."""
    if not (
        isinstance(source.raw.images, ImageFiles) and isinstance(target.raw.images, ImageFiles)
    ):
        return
    source_paths = source.raw.images.paths
    target_paths = target.raw.images.paths
    in_source = {os.path.abspath(source_paths[index]) for index in source.indices}
    in_target = {os.path.abspath(target_paths[index]) for index in target.indices}
    shared = in_source & in_target
    if shared:
        raise DataError(
            f"{len(shared):,} image(s) are in both {source.spec.domain} and {target.spec.domain},"
            f" such as {min(shared)}: they would be seen, with their labels, in training; remove"
            " them from one of the two"
        )


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
