"""Domains for tests: built-in ones by name, and images of a user in folders or Parquet files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet as pq

from adaptune.data.array_types import Images, Labels
from adaptune.data.domain import Domain
from adaptune.data.identity import DomainIdentity, identify_domain
from adaptune.data.image_set import in_memory
from adaptune.data.registry import load_domain
from adaptune.spec.data import DataSpec, DomainSpec

Rows = list[object]


@dataclass(frozen=True)
class PixelDomain:
    """A `Domain` with all its pixels."""

    name: str
    images: Images
    labels: Labels
    class_names: tuple[str, ...]
    identity: DomainIdentity
    notes: tuple[str, ...]


def load(name: str, root: Path = Path("unused"), seed: int = 0, **form: object) -> PixelDomain:
    """Load a domain by its name in YAML."""
    spec = DomainSpec.model_validate({"domain": name, **form})
    return with_pixels(load_domain(spec, root=root, seed=seed))


def with_pixels(domain: Domain) -> PixelDomain:
    """Return a domain with all its pixels."""
    images = domain.images.take(np.arange(len(domain.images)))
    return PixelDomain(
        domain.name, images, domain.labels, domain.class_names, domain.identity, domain.notes
    )


def identity(*stored: bytes) -> DomainIdentity:
    """Return the identity of a domain of one class, of images with these digests."""
    return identify_domain(stored, np.zeros(len(stored), np.int64), ["a"], {})


def make_domain(
    name: str, images: Images, labels: list[int], class_names: tuple[str, ...]
) -> Domain:
    """Return a domain whose identity is that of no images."""
    return Domain(
        name, in_memory(images), np.array(labels, dtype=np.int64), class_names, identity()
    )


def data_spec(source: str, target: str, **form: object) -> DataSpec:
    """Return the spec of two domains whose images have the same form."""
    source_spec = {"domain": source, **form}
    target_spec = {"domain": target, **form}
    return DataSpec.model_validate({"source": source_spec, "target": target_spec})


def png(value: int, size: tuple[int, int] = (16, 16), mode: str = "L") -> bytes:
    """Return an image of one colour, as the content of a PNG file."""
    buffer = io.BytesIO()
    Image.new(mode, size, value).save(buffer, "PNG")
    return buffer.getvalue()


def write_folder(root: Path, classes: dict[str, int]) -> str:
    """Write images of 16 px, so many per class, and return the domain's name."""
    for number, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            (root / name / f"{index}.png").write_bytes(png(number * 10 + index))
    return f"imagefolder:{root}"


def touch(root: Path, *names: str) -> None:
    """Create empty files, and the folders that they are in."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def write_list(folder: Path, content: str, *images: str, name: str = "list.txt") -> str:
    """Write a list and the images of 16 px that it is about, and return the domain's name."""
    touch(folder, name, *images)
    for number, image in enumerate(images):
        (folder / image).write_bytes(png(number))
    (folder / name).write_bytes(content.encode())
    return f"imagelist:{folder / name}"


def write_table(
    path: Path, images: Rows, labels: Rows | None, kind: pa.DataType | None = None
) -> str:
    """Write a Parquet file and return the domain's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"image": pa.array(images, type=kind)}
    if labels is not None:
        columns["label"] = pa.array(labels)
    pq.write_table(pa.table(columns), path)
    return f"parquet:{path}"
