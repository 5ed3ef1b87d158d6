"""Data sets whose images are still to be decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adaptune.data.domain import Domain, Indices, RawDomain
from adaptune.data.identity import DomainIdentity, identify_domain
from adaptune.data.memory import require_memory
from adaptune.data.preprocessing import images_of_any_size, prepare
from adaptune.errors import DataError
from adaptune.spec.data import DomainSpec


@dataclass(frozen=True)
class UndecodedDomain:
    """A data set before its images are decoded and brought to the common form.

    Attributes:
        spec: the name of the domain and the form of its images.
        raw: the data set as its loader returns it.
        indices: the samples to use, int64 (N,).
    """

    spec: DomainSpec
    raw: RawDomain
    indices: Indices

    @property
    def nbytes(self) -> int:
        """Memory of the decoded images: one byte per channel of a pixel."""
        return len(self.indices) * self.spec.channels * self.spec.size**2

    def decode(self) -> Domain:
        """Return the data set in the common form.

        Raises:
            DataError: an image cannot be read.
        """
        spec = self.spec
        digests: list[bytes] = []
        try:
            with images_of_any_size():
                images = prepare(
                    self.raw.take(self.indices, digests),
                    count=len(self.indices),
                    crop=spec.crop,
                    size=spec.size,
                    channels=spec.channels,
                )
        except DataError as error:
            raise DataError(f"domain {spec.domain}: {error}") from error
        return Domain(
            spec.domain,
            images,
            self.raw.labels[self.indices],
            self.raw.class_names,
            self._identity(digests),
            self.raw.notes,
        )

    def _identity(self, digests: list[bytes]) -> DomainIdentity:
        spec = self.spec
        # A path is left out: data that is mounted elsewhere is the same data.
        settings = spec.model_dump(mode="json") | {"domain": spec.kind}
        labels = self.raw.labels[self.indices]
        return identify_domain(digests, labels, self.raw.class_names, settings)


def check_memory(domains: Sequence[UndecodedDomain], copies: Literal[1, 2] = 1) -> None:
    """Check that the images of some data sets fit in memory, before any of them is decoded.

    Args:
        copies: number of times that each image is in memory.

    Raises:
        DataError: there is too little memory.
    """
    counts = []
    for domain in domains:
        counts.append(f"{len(domain.indices):,} of {domain.spec.domain}")
    form = domains[0].spec
    purpose = f"images of {form.size} px with {form.channels} channel(s) ({', '.join(counts)})"
    if copies > 1:
        purpose += ", and the parts that they are split into,"
    require_memory(
        copies * sum(domain.nbytes for domain in domains),
        purpose,
        "lower `limit` or `size` in the section `data`",
    )
