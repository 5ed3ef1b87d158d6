"""The parts of the two domains: those that trials see and those that are withheld from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from adaptune.data.domain import UNLABELLED, Domain, Images, Indices, Labels
from adaptune.data.domain_pair import load_pair
from adaptune.data.identity import DataIdentity, identify_split
from adaptune.data.stratify import parts_of_class, split
from adaptune.errors import DataError
from adaptune.seeding import derive_seed
from adaptune.spec.data import DataSpec


@dataclass(frozen=True)
class TrialData:
    """All data that trials see, which does not include the labels of target_train.

    Attributes:
        source_train_images: uint8 (N, C, H, W), 0 to 255, as all images here.
        source_train_labels: int64 (N,), an index into `class_names`, as all labels here.
        source_val_images: source images for validation.
        source_val_labels: their labels.
        target_train_images: target images for training.
        target_val_images: target images for validation.
        target_val_labels: their labels, all `UNLABELLED` if the target has no labels.
        class_names: K names.
    """

    source_train_images: Images
    source_train_labels: Labels
    source_val_images: Images
    source_val_labels: Labels
    target_train_images: Images
    target_val_images: Images
    target_val_labels: Labels
    class_names: tuple[str, ...]

    @property
    def target_labelled(self) -> bool:
        """True if target_val has labels, and accuracy on it can be computed."""
        return bool((self.target_val_labels != UNLABELLED).all())


@dataclass(frozen=True)
class WithheldData:
    """Labels of target_train, and the held-out test set, which trials must not see.

    Baselines and the evaluation of exported models use them.

    Attributes:
        target_train_images: uint8 (N, C, H, W), 0 to 255; the images that trials see, too.
        target_train_labels: int64 (N,), an index into `class_names` or `UNLABELLED`.
        target_test_images: uint8 (M, C, H, W), 0 to 255; M is 0 if the target has no labels.
        target_test_labels: int64 (M,), an index into `class_names`.
    """

    target_train_images: Images
    target_train_labels: Labels
    target_test_images: Images
    target_test_labels: Labels


@dataclass(frozen=True)
class Splits:
    """All parts of a source and a target domain.

    Attributes:
        trial: the data that trials see.
        withheld: the data that trials must not see.
        indices: from the name of a part (source_train, …, target_test) to its sorted indices into
            the loaded domain, after its `limit`.
        identity: what distinguishes the data from other data; it is the same wherever the data is
            stored and whichever library decodes it.
    """

    trial: TrialData
    withheld: WithheldData
    indices: dict[str, Indices]
    identity: DataIdentity

    def digest(self) -> str:
        """Return the digest of the identity, SHA-256 (hexadecimal)."""
        return self.identity.digest

    def pixel_digest(self) -> str:
        """Return the SHA-256 (hexadecimal) of every decoded image, label and class name."""
        arrays = []
        for part in (self.trial, self.withheld):
            for field in fields(part):
                arrays.append(np.asarray(getattr(part, field.name)))
        return content_hash(*arrays)


def content_hash(*arrays: npt.NDArray[np.generic]) -> str:
    """Return the SHA-256 (hexadecimal) of the types, shapes and values of `arrays`."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def load_splits(spec: DataSpec, seed: int) -> Splits:
    """Load both domains and split them at random, stratified by class.

    Raises:
        DataError: a domain cannot be loaded, the two do not fit together, or a class has too few
            samples.
    """
    source, target = load_pair(spec, seed)
    indices = split_source(source, spec, seed) | split_target(target, spec, seed)
    target_train_images = target.images[indices["target_train"]]
    trial = TrialData(
        source_train_images=source.images[indices["source_train"]],
        source_train_labels=source.labels[indices["source_train"]],
        source_val_images=source.images[indices["source_val"]],
        source_val_labels=source.labels[indices["source_val"]],
        target_train_images=target_train_images,
        target_val_images=target.images[indices["target_val"]],
        target_val_labels=target.labels[indices["target_val"]],
        class_names=source.class_names,
    )
    withheld = WithheldData(
        target_train_images=target_train_images,
        target_train_labels=target.labels[indices["target_train"]],
        target_test_images=target.images[indices["target_test"]],
        target_test_labels=target.labels[indices["target_test"]],
    )
    identity = DataIdentity(source.identity, target.identity, identify_split(indices))
    return Splits(trial, withheld, indices, identity)


def split_source(domain: Domain, spec: DataSpec, seed: int) -> dict[str, Indices]:
    """Split the source into source_train and source_val.

    Raises:
        DataError: a class has too few samples.
    """
    fractions = {"source_val": spec.source_val_fraction}
    _check_sizes("source", domain, fractions, minimum_train=1)
    split_seed = derive_seed(seed, "split", "source")
    val, train = split(domain.labels, [spec.source_val_fraction], split_seed)
    return {"source_train": train, "source_val": val}


def split_target(domain: Domain, spec: DataSpec, seed: int) -> dict[str, Indices]:
    """Take target_val and target_test from the labelled samples and the rest for training.

    A target without labels has no test set, but the validators need target_val.

    Raises:
        DataError: there are too few samples.
    """
    split_seed = derive_seed(seed, "split", "target")
    labelled = np.flatnonzero(domain.labels != UNLABELLED)
    unlabelled = np.flatnonzero(domain.labels == UNLABELLED)
    if not len(labelled):
        val, train = split(domain.labels, [spec.target_val_fraction], split_seed)
        if not len(train):
            raise DataError(
                f"target {domain.name}: {len(domain.labels)} sample(s) are too few:"
                " training needs some"
            )
        return {"target_train": train, "target_val": val, "target_test": val[:0]}
    fractions = {"target_val": spec.target_val_fraction, "target_test": spec.target_test_fraction}
    _check_sizes("target", domain, fractions, minimum_train=0 if len(unlabelled) else 1)
    val, test, train = split(domain.labels[labelled], list(fractions.values()), split_seed)
    return {
        "target_train": np.sort(np.concatenate([labelled[train], unlabelled])),
        "target_val": labelled[val],
        "target_test": labelled[test],
    }


def _check_sizes(
    role: str, domain: Domain, fractions: dict[str, float], minimum_train: int
) -> None:
    """Raise a DataError with the calculation if a class has too few samples for all parts."""
    for label, name in enumerate(domain.class_names):
        available = int((domain.labels == label).sum())
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
