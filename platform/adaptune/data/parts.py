"""The division of two domains into parts, at random and stratified by class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptune.data.array_types import Indices, Labels, Mask
from adaptune.data.domain import UNLABELLED
from adaptune.data.stratify import parts_of_class, split
from adaptune.errors import DataError
from adaptune.seeding import derive_seed
from adaptune.spec.data import DataSpec


@dataclass(frozen=True)
class LabelledSamples:
    """The labels of the samples of a domain.

    Attributes:
        name: name of the domain, for messages.
        labels: int64 (N,), an index into `class_names` or `UNLABELLED`.
        class_names: K names.
        is_test: mask of the samples of a test set that the user names, bool (N,); None without one.
    """

    name: str
    labels: Labels
    class_names: tuple[str, ...]
    is_test: Mask | None = None


def divide(
    source: LabelledSamples, target: LabelledSamples, spec: DataSpec, seed: int
) -> dict[str, Indices]:
    """Return the sorted indices of the samples of each part, by its name.

    Raises:
        DataError: a class has too few samples.
    """
    return divide_source(source, spec, seed) | divide_target(target, spec, seed)


def divide_source(domain: LabelledSamples, spec: DataSpec, seed: int) -> dict[str, Indices]:
    """Return the sorted indices of the samples of source_train and source_val.

    Raises:
        DataError: a class has too few samples.
    """
    fractions = {"source_val": spec.source_val_fraction}
    _check_sizes("source", domain, fractions, minimum_train=1)
    split_seed = derive_seed(seed, "split", "source")
    val, train = split(domain.labels, [spec.source_val_fraction], split_seed)
    return {"source_train": train, "source_val": val}


def divide_target(domain: LabelledSamples, spec: DataSpec, seed: int) -> dict[str, Indices]:
    """Take target_val and target_test from the labelled samples and the rest for training.

    A target without labels has no test set, but the validators need target_val. If the user names
    a test set, it is target_test, and nothing else is withheld from training for it.

    Raises:
        DataError: a class has too few samples.
    """
    fractions = {"target_val": spec.target_val_fraction}
    if domain.is_test is None:
        fractions["target_test"] = spec.target_test_fraction
        return _divide_target(domain, fractions, spec, seed)
    rest = np.flatnonzero(~domain.is_test)
    remaining = replace(domain, labels=domain.labels[rest], is_test=None)
    parts = _divide_target(remaining, fractions, spec, seed)
    parts = {part: rest[indices] for part, indices in parts.items()}
    return parts | {"target_test": np.flatnonzero(domain.is_test)}


def _divide_target(
    domain: LabelledSamples, fractions: dict[str, float], spec: DataSpec, seed: int
) -> dict[str, Indices]:
    """Divide a target into training and the parts that `fractions` names."""
    split_seed = derive_seed(seed, "split", "target")
    labelled = np.flatnonzero(domain.labels != UNLABELLED)
    unlabelled = np.flatnonzero(domain.labels == UNLABELLED)
    if not len(labelled):
        if spec.target.train_labels:
            raise DataError(
                f"target {domain.name} has no labels, but data.target.train_labels asks for"
                f" {spec.target.train_labels} per class: label some samples, or set it to 0"
            )
        val, train = split(domain.labels, [spec.target_val_fraction], split_seed)
        if not len(train):
            raise DataError(
                f"target {domain.name}: {len(domain.labels)} sample(s) are too few:"
                " training needs some"
            )
        return {"target_train": train, "target_val": val, "target_test": val[:0]}
    minimum_train = 0 if len(unlabelled) else 1
    may_lack_classes = spec.classes == "target_subset"
    _check_sizes("target", domain, fractions, minimum_train, may_lack_classes)
    *withheld, train = split(domain.labels[labelled], list(fractions.values()), split_seed)
    parts = {"target_train": np.sort(np.concatenate([labelled[train], unlabelled]))}
    for part, chosen in zip(fractions, withheld, strict=True):
        parts[part] = labelled[chosen]
    if spec.target.train_labels:
        parts["target_labelled"] = _labelled_part(domain, labelled[train], spec, split_seed)
    return parts


def _labelled_part(domain: LabelledSamples, train: Indices, spec: DataSpec, seed: int) -> Indices:
    """Choose samples of target_train whose labels training may use, as many of each class.

    Args:
        train: the labelled samples of target_train.

    Raises:
        DataError: a class has too few of them.
    """
    wanted = spec.target.train_labels
    order = np.random.default_rng(seed).permutation(train)
    chosen = []
    for label, name in enumerate(domain.class_names):
        members = order[domain.labels[order] == label]
        if not len(members) and spec.classes == "target_subset":
            continue
        if len(members) < wanted:
            raise DataError(
                f"target {domain.name}: class {name!r} has {len(members)} labelled samples in"
                f" target_train, but data.target.train_labels asks for {wanted}: lower it, add"
                " samples or lower data.target_val_fraction and data.target_test_fraction"
            )
        chosen.append(members[:wanted])
    return np.sort(np.concatenate(chosen))


def _check_sizes(
    role: str,
    domain: LabelledSamples,
    fractions: dict[str, float],
    minimum_train: int,
    may_lack_classes: bool = False,
) -> None:
    """Raise a DataError with the calculation if a class has too few samples for all parts.

    Args:
        may_lack_classes: True if a class may have no sample at all.
    """
    for label, name in enumerate(domain.class_names):
        available = int((domain.labels == label).sum())
        if may_lack_classes and not available:
            continue
        sizes = parts_of_class(available, list(fractions.values()))
        required = sum(sizes) + minimum_train
        if required <= available:
            continue
        calculation = ""
        for (part, fraction), size in zip(fractions.items(), sizes, strict=True):
            calculation += f"{part} {size} (a fraction of {fraction:g}, at least 1), "
        raise DataError(
            f"{role} {domain.name}: class {name!r} has {available} labelled samples but needs"
            f" {required}: {calculation}{role}_train at least {minimum_train}."
            " Add samples, raise `limit` or lower the fractions"
        )
