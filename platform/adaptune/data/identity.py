"""Identity of the data of a search, which does not depend on paths, decoders and libraries.

It is made of the images as they are stored, their labels, the settings of their preprocessing, and
the split. Decoded pixels are no part of it, because decoders differ by some grey levels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class DomainIdentity:
    """Digests of the samples of a domain that are used, SHA-256 (hexadecimal).

    Attributes:
        images: the stored images in their order.
        images_in_any_order: the stored images, whatever their order.
        labels: the labels in the order of the images, and the class names.
        settings: the kind of the domain and the form that the images are brought to.
    """

    images: str
    images_in_any_order: str
    labels: str
    settings: str


@dataclass(frozen=True)
class DataIdentity:
    """Identity of the data of a search.

    Attributes:
        source: the samples of the source.
        target: the samples of the target.
        split: digest of the part that each sample belongs to, SHA-256 (hexadecimal).
    """

    source: DomainIdentity
    target: DomainIdentity
    split: str

    @property
    def digest(self) -> str:
        """The SHA-256 (hexadecimal) of the identity."""
        return _sha256(self.to_json().encode())

    def to_json(self) -> str:
        """Return the identity as JSON, which `parse_identity` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    def differences(self, other: DataIdentity) -> list[str]:
        """Return what differs between two identities, in words; empty if nothing does."""
        differences = [
            *_domain_differences("source", self.source, other.source),
            *_domain_differences("target", self.target, other.target),
        ]
        if not differences and self.split != other.split:
            differences.append("the split into parts")
        return differences


def identify_domain(
    digests: Sequence[bytes],
    labels: npt.NDArray[np.int64],
    class_names: Sequence[str],
    settings: Mapping[str, object],
) -> DomainIdentity:
    """Return the identity of a domain.

    Args:
        digests: SHA-256 of each stored image, N of them.
        labels: int64 (N,).
        class_names: K names.
        settings: everything that decides the form of the images, as JSON values.
    """
    names = json.dumps(list(class_names)).encode()
    return DomainIdentity(
        images=_sha256(*digests),
        images_in_any_order=_sha256(*sorted(digests)),
        labels=_sha256(names, labels.astype("<i8").tobytes()),
        settings=_sha256(json.dumps(settings, sort_keys=True).encode()),
    )


def identify_split(indices: Mapping[str, npt.NDArray[np.int64]]) -> str:
    """Return the digest of a split: from the name of a part to the indices of its samples."""
    parts = []
    for name, part in indices.items():
        parts.append(f"{name} {len(part)} ".encode())
        parts.append(part.astype("<i8").tobytes())
    return _sha256(*parts)


def parse_identity(text: str | bytes) -> DataIdentity:
    """Return the identity that `DataIdentity.to_json` wrote.

    Raises:
        ValueError: the text is something else.
    """
    try:
        tree = json.loads(text)
        source = DomainIdentity(**tree["source"])
        target = DomainIdentity(**tree["target"])
        return DataIdentity(source, target, tree["split"])
    except (TypeError, KeyError) as error:
        raise ValueError(f"not the identity of data: {error}") from error


def image_digest(stored: bytes | memoryview) -> bytes:
    """Return the SHA-256 of an image as it is stored, 32 bytes."""
    return hashlib.sha256(stored).digest()


def array_digests(array: npt.NDArray[np.generic]) -> list[bytes]:
    """Return the SHA-256 of each of the N images of an array (N, …), shape and type included."""
    form = f"{array.dtype.str}{array.shape[1:]}".encode()
    digests = []
    for image in np.ascontiguousarray(array):
        digests.append(image_digest(form + image.tobytes()))
    return digests


def _domain_differences(role: str, first: DomainIdentity, second: DomainIdentity) -> list[str]:
    differences = []
    if first.settings != second.settings:
        differences.append(f"the settings of the {role}")
    if first.images_in_any_order != second.images_in_any_order:
        differences.append(f"the images of the {role}")
    elif first.images != second.images:
        # Labels are in the order of the images.
        return [*differences, f"the order of the images of the {role} (the order of their names)"]
    if first.labels != second.labels:
        differences.append(f"the labels or class names of the {role}")
    return differences


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
