"""The parts of the two domains, and which of them a trial may see."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from adaptune.data.domain import UNLABELLED, Domain, Images, Indices, Labels
from adaptune.data.domain_pair import load_pair
from adaptune.data.stratify import parts_of_class, split
from adaptune.errors import DataError
from adaptune.seeding import derive_seed
from adaptune.spec.schema import DataSpec


@dataclass(frozen=True)
class TrialData:
    """All that training sees. Target labels of the training part are not in it."""

    source_train_images: Images
    source_train_labels: Labels
    source_val_images: Images
    source_val_labels: Labels
    target_train_images: Images
    target_val_images: Images
    target_val_labels: Labels  # all -1 where no target sample is labelled
    class_names: tuple[str, ...]

    @property
    def target_labelled(self) -> bool:
        """Whether target_val has labels to score by."""
        return bool((self.target_val_labels != UNLABELLED).all())


@dataclass(frozen=True)
class WithheldData:
    """For exported models and yardsticks only; a label of target_train is -1 where it is not known."""

    target_train_images: Images
    target_train_labels: Labels
    target_test_images: Images
    target_test_labels: Labels


@dataclass(frozen=True)
class Splits:
    """`indices` (source_train, …, target_test) count in the loaded domain, after its `limit`."""

    trial: TrialData
    sealed: WithheldData
    indices: dict[str, Indices]

    def digest(self) -> str:
        """Hash of every image, label and class name."""
        arrays = [
            getattr(part, field.name)
            for part in (self.trial, self.sealed)
            for field in fields(part)
        ]
        return content_hash(*(np.asarray(array) for array in arrays))


def content_hash(*arrays: npt.NDArray[Any]) -> str:
    """sha256 (hex) over the types, shapes and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def load_splits(spec: DataSpec, seed: int) -> Splits:
    """Load both domains and split them, stratified by class and decided by `seed`.

    Raises:
        DataError: a domain cannot be loaded, the two do not fit, or a class has too few samples.
    """
    source, target = load_pair(spec, seed)
    indices = _split_source(source, spec, seed) | _split_target(target, spec, seed)
    images = {
        key: (source if key.startswith("source") else target).images[i]
        for key, i in indices.items()
    }
    labels = {
        key: (source if key.startswith("source") else target).labels[i]
        for key, i in indices.items()
    }
    trial = TrialData(
        source_train_images=images["source_train"],
        source_train_labels=labels["source_train"],
        source_val_images=images["source_val"],
        source_val_labels=labels["source_val"],
        target_train_images=images["target_train"],
        target_val_images=images["target_val"],
        target_val_labels=labels["target_val"],
        class_names=source.class_names,
    )
    sealed = WithheldData(
        target_train_images=images["target_train"],
        target_train_labels=labels["target_train"],
        target_test_images=images["target_test"],
        target_test_labels=labels["target_test"],
    )
    return Splits(trial, sealed, indices)


def _split_source(domain: Domain, spec: DataSpec, seed: int) -> dict[str, Indices]:
    fractions = {"source_val": spec.source_val_fraction}
    _check_sizes("source", domain, fractions, train_needs=1)
    val, train = split(
        domain.labels, list(fractions.values()), derive_seed(seed, "split", "source")
    )
    return {"source_train": train, "source_val": val}


def _split_target(domain: Domain, spec: DataSpec, seed: int) -> dict[str, Indices]:
    """Validation and test out of the labelled samples; their rest and all unlabelled ones for training.

    Without a label there is no test, and the validators need a validation part all the same.
    """
    labelled = np.flatnonzero(domain.labels != UNLABELLED)
    unlabelled = np.flatnonzero(domain.labels == UNLABELLED)
    if not len(labelled):
        val, train = split(
            domain.labels, [spec.target_val_fraction], derive_seed(seed, "split", "target")
        )
        if not len(train):
            raise DataError(
                f"target {domain.name}: {len(domain.labels)} sample(s) are too few: training needs some"
            )
        return {"target_train": train, "target_val": val, "target_test": val[:0]}
    fractions = {"target_val": spec.target_val_fraction, "target_test": spec.target_test_fraction}
    _check_sizes("target", domain, fractions, train_needs=0 if len(unlabelled) else 1)
    parts = split(
        domain.labels[labelled], list(fractions.values()), derive_seed(seed, "split", "target")
    )
    val, test, train = (labelled[part] for part in parts)
    return {
        "target_train": np.sort(np.concatenate([train, unlabelled])),
        "target_val": val,
        "target_test": test,
    }


def _check_sizes(role: str, domain: Domain, fractions: dict[str, float], train_needs: int) -> None:
    for label, name in enumerate(domain.class_names):
        size = int((domain.labels == label).sum())
        needs = parts_of_class(size, list(fractions.values()))
        if sum(needs) + train_needs > size:
            sums = "".join(
                f"{part} {need} (a fraction of {fraction:g}, at least 1), "
                for (part, fraction), need in zip(fractions.items(), needs, strict=True)
            )
            raise DataError(
                f"{role} {domain.name}: class {name!r} has {size} labelled samples but needs"
                f" {sum(needs) + train_needs}: {sums}{role}_train at least {train_needs}."
                " Add samples, raise `limit` or lower the fractions"
            )
