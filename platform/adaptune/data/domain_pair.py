"""Source and target together, without common samples and with the same class names."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from adaptune.data.class_match import ClassMatch, match_classes
from adaptune.data.domain import ALL_SAMPLES, FIRST_HALF, SECOND_HALF, Domain
from adaptune.data.given_test import with_test
from adaptune.data.image_files import ImageFiles
from adaptune.data.registry import (
    DOMAINS,
    choose_samples,
    find_entry,
    open_domain,
    share_samples,
)
from adaptune.data.store import Progress
from adaptune.data.undecoded import UndecodedDomain, check_memory
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec, cache_folder

# Called with `source` or `target`, the number of prepared images, and of those to prepare.
PairProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class OpenPair:
    """Source and target before their images are prepared.

    Attributes:
        source: the labelled domain.
        target: the domain to adapt to.
        match: the classes of both.
    """

    source: UndecodedDomain
    target: UndecodedDomain
    match: ClassMatch

    def decode(self, progress: PairProgress | None = None) -> tuple[Domain, Domain]:
        """Return both in the common form; their labels are indices into the same class names.

        Args:
            progress: called while the images of a domain are prepared.

        Raises:
            DataError: an image cannot be read; the message names all such images of a domain.
        """
        source = self.source.decode(progress_of("source", progress))
        target = self.target.decode(progress_of("target", progress))
        return self.match.relabel(source), self.match.relabel(target)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, one line each."""
        return (*self.source.raw.notes, *self.target.raw.notes, *self.match.notes)


def open_pair(spec: DataSpec, seed: int) -> OpenPair:
    """Return source and target, before an image is read.

    If both are made of the same 5,000 MNIST digits, each gets one half of them.

    Raises:
        DataError: a domain cannot be loaded, the source has unlabelled samples, the classes are
            not related as `spec.classes` requires, an image could be in both domains, or there is
            too little memory for both and for the parts that they are split into.
    """
    source, target = open_domains(spec, seed)
    pair = match_domains(source, target, spec, seed)
    check_memory([pair.source, pair.target], copies=2)
    return pair


def open_domains(spec: DataSpec, seed: int) -> tuple[UndecodedDomain, UndecodedDomain]:
    """Return source and target before their classes are matched.

    Raises:
        DataError: a domain cannot be loaded, both have the same place, or the test that the user
            names does not fit the target or shares images with a domain.
    """
    source_half, target_half = _disjoint_halves(spec.source.domain, spec.target.domain)
    root = Path(spec.root).expanduser()
    cache = cache_folder(spec.cache)
    source = open_domain(spec.source, root=root, seed=seed, half=source_half, cache=cache)
    target = open_domain(spec.target, root=root, seed=seed, half=target_half, cache=cache)
    test_form = spec.target.test_domain()
    if test_form is not None:
        _check_test_is_apart(spec, test_form.domain)
        test = open_domain(test_form, root=root, seed=seed, cache=cache)
        _check_no_file_is_in_both(target, test)
        target = with_test(target, test)
    return source, target


def match_domains(
    source: UndecodedDomain, target: UndecodedDomain, spec: DataSpec, seed: int
) -> OpenPair:
    """Return a pair of domains with the samples of the classes that `spec.classes` leaves.

    Raises:
        DataError: the source has unlabelled samples, the classes are not related as `spec.classes`
            requires, or an image file is in both domains.
    """
    match = match_classes(source, target, spec.classes)
    if spec.classes == "intersection":
        source = _restrict(source, match, seed)
        target = _restrict(target, match, seed)
    _check_no_file_is_in_both(source, target)
    return OpenPair(source, target, match)


def progress_of(role: str, progress: PairProgress | None) -> Progress | None:
    """Return the progress of the source or the target alone."""
    return None if progress is None else partial(progress, role)


def _restrict(domain: UndecodedDomain, match: ClassMatch, seed: int) -> UndecodedDomain:
    """Reduce a domain to the samples of the matched classes, and then to its `limit`."""
    samples = match.samples_of(domain)
    test_start = domain.raw.test_start
    is_test = np.zeros(len(samples), dtype=bool) if test_start is None else samples >= test_start
    others = samples[~is_test]
    chosen = choose_samples(domain.spec, domain.raw.labels[others], seed)
    return replace(domain, indices=np.concatenate([others[chosen], samples[is_test]]))


def _check_no_file_is_in_both(source: UndecodedDomain, target: UndecodedDomain) -> None:
    """Compare the paths of image files; image lists may name files of any folder."""
    if not (
        isinstance(source.raw.images, ImageFiles) and isinstance(target.raw.images, ImageFiles)
    ):
        return
    source_paths = source.raw.images.paths
    target_paths = target.raw.images.paths
    in_source = {_real_path(source_paths[index]) for index in source.indices}
    in_target = {_real_path(target_paths[index]) for index in target.indices}
    shared = in_source & in_target
    if shared:
        raise DataError(
            f"{len(shared):,} image(s) are in both {source.spec.domain} and {target.spec.domain},"
            f" such as {min(shared)}: they would be seen, with their labels, in training; remove"
            " them from one of the two"
        )


def _real_path(path: str) -> str:
    """Return the path of a file without links."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(folder), name)


@cache  # a folder has many files
def _real_folder(path: str) -> str:
    return os.path.realpath(path)


def _check_test_is_apart(spec: DataSpec, test: str) -> None:
    for role, name in (("source", spec.source.domain), ("target", spec.target.domain)):
        if share_samples(name, test):
            raise DataError(
                f"data.target.test {test} shares images with the {role} {name}: they would be seen"
                " in training; name a data set that is apart from it"
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
