"""The parts of the two domains: those that trials see and those that are withheld from them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import joblib
import numpy as np
import numpy.typing as npt

from adaptune.data.array_types import Indices, Labels
from adaptune.data.chunk import Chunk
from adaptune.data.domain import UNLABELLED
from adaptune.data.domain_pair import OpenPair, PairProgress, open_pair
from adaptune.data.identity import DataIdentity, identify_split
from adaptune.data.image_set import ImageSet
from adaptune.data.parts import LabelledSamples, divide
from adaptune.data.store import StoredImages, prepare_missing
from adaptune.spec.data import DataSpec


@dataclass(frozen=True)
class TrialData:
    """All data that trials see, which does not include other labels of target_train.

    Attributes:
        source_train_images: source images for training.
        source_train_labels: int64 (N,), an index into `class_names`, as all labels here.
        source_val_images: source images for validation.
        source_val_labels: their labels.
        target_train_images: target images for training.
        target_val_images: target images for validation.
        target_val_labels: their labels, all `UNLABELLED` if the target has no labels.
        class_names: K names.
        labelled_target_images: images of target_train whose labels training may use.
        labelled_target_labels: their labels.
    """

    source_train_images: ImageSet
    source_train_labels: Labels
    source_val_images: ImageSet
    source_val_labels: Labels
    target_train_images: ImageSet
    target_val_images: ImageSet
    target_val_labels: Labels
    class_names: tuple[str, ...]
    labelled_target_images: ImageSet | None = None
    labelled_target_labels: Labels | None = None

    def prepare_on_this_node(self) -> None:
        """Prepare images on disk if the cache of this node lacks them.

        Raises:
            DataError: the stored images cannot be read here.
        """
        for images in (self.source_train_images, self.target_train_images):
            if isinstance(images, StoredImages):
                prepare_missing(images, joblib.cpu_count())

    @property
    def nbytes(self) -> int:
        """Memory of all images that a trial reads: one byte per channel of a pixel."""
        images = (
            self.source_train_images,
            self.source_val_images,
            self.target_train_images,
            self.target_val_images,
        )
        return sum(map(len, images)) * math.prod(self.source_train_images.shape)

    @property
    def target_labelled(self) -> bool:
        """True if target_val has labels, and accuracy on it can be computed."""
        return bool((self.target_val_labels != UNLABELLED).all())


@dataclass(frozen=True)
class WithheldData:
    """Labels of target_train, and the held-out test set, which trials must not see.

    Baselines and the evaluation of exported models use them.

    Attributes:
        target_train_images: N images; trials see them, too.
        target_train_labels: int64 (N,), an index into `class_names` or `UNLABELLED`.
        target_test_images: M images; M is 0 if the target has no labels.
        target_test_labels: int64 (M,), an index into `class_names`.
    """

    target_train_images: ImageSet
    target_train_labels: Labels
    target_test_images: ImageSet
    target_test_labels: Labels

    @property
    def nbytes(self) -> int:
        """Memory of the images for training: one byte per channel of a pixel."""
        return len(self.target_train_images) * math.prod(self.target_train_images.shape)


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
        """Return the SHA-256 (hexadecimal) of every prepared image, label and class name."""
        trial, withheld = self.trial, self.withheld
        return content_hash(
            trial.source_train_images.pixel_digests(),
            trial.source_train_labels,
            trial.source_val_images.pixel_digests(),
            trial.source_val_labels,
            trial.target_train_images.pixel_digests(),
            trial.target_val_images.pixel_digests(),
            trial.target_val_labels,
            withheld.target_train_labels,
            withheld.target_test_images.pixel_digests(),
            withheld.target_test_labels,
            np.asarray(trial.class_names),
        )


def content_hash(*arrays: npt.NDArray[np.generic]) -> str:
    """Return the SHA-256 (hexadecimal) of the types, shapes and values of `arrays`."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class OpenSplits:
    """All parts of a source and a target domain whose images are still to be prepared.

    Attributes:
        pair: both domains.
        indices: see `Splits`.
    """

    pair: OpenPair
    indices: dict[str, Indices]

    @property
    def target_labelled(self) -> bool:
        """True if target_val has labels, and accuracy on it can be computed."""
        return bool((self.target_val_labels != UNLABELLED).all())

    @property
    def target_val_labels(self) -> Labels:
        """Labels of target_val: int64 (N,), an index into `class_names` or `UNLABELLED`."""
        return self.pair.match.labels_of(self.pair.target)[self.indices["target_val"]]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the K classes."""
        return self.pair.match.class_names

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the data for the user, one line each."""
        return self.pair.notes

    def missing_chunks(self) -> list[Chunk]:
        """Return what `load` would prepare on disk.

        Raises:
            DataError: a stored image is not there.
        """
        return [*self.pair.source.missing_chunks(), *self.pair.target.missing_chunks()]

    def load(self, progress: PairProgress | None = None) -> Splits:
        """Return the parts with their images.

        Args:
            progress: called while the images of a domain are prepared.

        Raises:
            DataError: an image cannot be read; the message names all such images of a domain.
        """
        indices = self.indices
        source, target = self.pair.decode(progress)
        target_train_images = target.images.subset(indices["target_train"])
        trial = TrialData(
            source_train_images=source.images.subset(indices["source_train"]),
            source_train_labels=source.labels[indices["source_train"]],
            source_val_images=source.images.subset(indices["source_val"]),
            source_val_labels=source.labels[indices["source_val"]],
            target_train_images=target_train_images,
            target_val_images=target.images.subset(indices["target_val"]),
            target_val_labels=target.labels[indices["target_val"]],
            class_names=source.class_names,
        )
        if "target_labelled" in indices:
            labelled = indices["target_labelled"]
            trial = replace(
                trial,
                labelled_target_images=target.images.subset(labelled),
                labelled_target_labels=target.labels[labelled],
            )
        withheld = WithheldData(
            target_train_images=target_train_images,
            target_train_labels=target.labels[indices["target_train"]],
            target_test_images=target.images.subset(indices["target_test"]),
            target_test_labels=target.labels[indices["target_test"]],
        )
        identity = DataIdentity(source.identity, target.identity, identify_split(indices))
        return Splits(trial, withheld, indices, identity)


def open_splits(spec: DataSpec, seed: int) -> OpenSplits:
    """Split both domains at random, stratified by class, before an image is read.

    Raises:
        DataError: a domain cannot be loaded, the two do not fit together, or a class has too few
            samples.
    """
    pair = open_pair(spec, seed)
    names = pair.match.class_names
    source = LabelledSamples(pair.source.spec.domain, pair.match.labels_of(pair.source), names)
    target = LabelledSamples(
        pair.target.spec.domain, pair.match.labels_of(pair.target), names, pair.target.is_test
    )
    return OpenSplits(pair, divide(source, target, spec, seed))


def load_splits(spec: DataSpec, seed: int, progress: PairProgress | None = None) -> Splits:
    """Split both domains, and prepare their images; see `open_splits` and `OpenSplits.load`."""
    return open_splits(spec, seed).load(progress)
