"""Source and target together: no digit in both, and the same classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from adaptune.data.digits import ALL_DIGITS, FIRST_HALF, SECOND_HALF
from adaptune.data.domain import UNLABELLED, Domain
from adaptune.data.registry import check_name, load_domain
from adaptune.errors import DataError
from adaptune.spec.schema import DataSpec

SAME_DIGITS = frozenset({"mnist5k", "mnistm5k"})


def load_pair(spec: DataSpec, seed: int) -> tuple[Domain, Domain]:
    """Both domains; the target's labels count by the source's class names.

    Where both are made of the 5,000 MNIST digits, each takes one half of them.

    Raises:
        DataError: a domain cannot be loaded, the source has unlabelled samples, the classes differ, or
            one domain's images would be met again in the other.
    """
    ours, theirs = spec.source.domain, spec.target.domain
    for name in (ours, theirs):
        check_name(name)
    if _place(ours) == _place(theirs) and ours not in SAME_DIGITS:
        raise DataError(
            f"source and target are both {ours}: the images of target_test would be seen, with their labels,"
            " in training; name two domains"
        )
    if "mnist" in (ours, theirs) and SAME_DIGITS & {ours, theirs}:
        raise DataError(
            f"{ours} and {theirs} share digits: take mnist5k in place of mnist, then each side gets its own half"
        )
    halved = {ours, theirs} <= SAME_DIGITS
    halves = (FIRST_HALF, SECOND_HALF) if halved else (ALL_DIGITS, ALL_DIGITS)
    root = Path(spec.root).expanduser()
    source = load_domain(spec.source, root=root, seed=seed, digits=halves[0])
    target = load_domain(spec.target, root=root, seed=seed, digits=halves[1])
    unlabelled = int((source.labels == UNLABELLED).sum())
    if unlabelled:
        raise DataError(
            f"source {ours}: {unlabelled} of {len(source.labels)} samples have no label; every one needs it"
        )
    return source, _with_classes_of(source, target)


def _place(name: str) -> tuple[str, Path | None]:
    kind, colon, path = name.partition(":")
    return kind, Path(path).expanduser().resolve() if colon else None


def _with_classes_of(source: Domain, target: Domain) -> Domain:
    ours, theirs = source.class_names, target.class_names
    if ours == theirs:
        return target
    if not theirs:
        return replace(target, class_names=ours)
    if set(ours) != set(theirs):
        raise DataError(
            "source and target must have the same classes:\n"
            f"  source {source.name}: {', '.join(ours)}\n  target {target.name}: {', '.join(theirs)}"
        )
    # The same names in another order, as "10" before "2" among strings but not among integers.
    new = np.array([*(ours.index(name) for name in theirs), UNLABELLED], dtype=np.int64)
    return replace(target, labels=new[target.labels], class_names=ours)
