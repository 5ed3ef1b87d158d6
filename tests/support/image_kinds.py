"""Pairs of small image domains of each kind that people have."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet as pq

from adaptune.data.array_types import Images, Pixels

SIZE_PX = 32
COUNT = 30  # images of a class


@dataclass(frozen=True)
class ImagePair:
    """A source and a target.

    Attributes:
        source: name of the source in YAML.
        target: name of the target in YAML.
        images: folder of target images, for `predict`.
        class_names: classes of the source.
        settings: further settings of the search, by dotted path.
    """

    source: str
    target: str
    images: Path
    class_names: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)


def flat_target(folder: Path) -> ImagePair:
    """Class folders, and a flat folder of unlabelled photographs."""
    names = ("bar", "disc", "square")
    write_class_folders(folder / "source", dict.fromkeys(names, COUNT), seed=1)
    target = folder / "target"
    target.mkdir()
    for index, image in enumerate(_images(3 * COUNT, label=None, seed=2)):
        Image.fromarray(image).save(target / f"IMG_{index:04}.JPG", quality=95)
    return ImagePair(
        f"imagefolder:{folder / 'source'}",
        f"imagefolder:{target}",
        target,
        names,
        {"search__metric": "ensemble"},
    )


def image_lists(folder: Path) -> ImagePair:
    """Two lists of paths with integer labels, as benchmarks of domain adaptation publish them."""
    names = ("0", "1", "2")
    lists = []
    for role, seed in (("Art", 1), ("Real World", 2)):
        root = folder / "images" / role
        write_class_folders(root, dict.fromkeys(names, COUNT), seed)
        lines = []
        for file in sorted(root.rglob("*.png")):
            lines.append(f"{file.relative_to(folder / 'images')} {file.parent.name}\n")
        lists.append(folder / "images" / f"{role}.txt")
        lists[-1].write_text("".join(lines))
    source, target = lists
    images = folder / "images" / "Real World"
    return ImagePair(f"imagelist:{source}", f"imagelist:{target}", images, names)


def hugging_face(folder: Path) -> ImagePair:
    """Parquet files of Hugging Face whose class names are in different orders."""
    names = ("bar", "disc", "square")
    source, target = folder / "source.parquet", folder / "target.parquet"
    _write_hugging_face(source, names, ("square", "bar", "disc"), seed=1)
    _write_hugging_face(target, names, ("disc", "square", "bar"), seed=2)
    write_class_folders(folder / "images", dict.fromkeys(names, 2), seed=3)
    return ImagePair(
        f"parquet:{source}", f"parquet:{target}", folder / "images", ("square", "bar", "disc")
    )


def five_channels(folder: Path) -> ImagePair:
    """NumPy arrays of five channels, of which 12 of 16 bits are used."""
    names = ("bar", "disc")
    for role, seed in (("source", 1), ("target", 2)):
        for label, name in enumerate(names):
            (folder / role / name).mkdir(parents=True)
            for index, image in enumerate(_images(COUNT, label, seed)):
                deep = np.repeat(image[..., :1].astype(np.uint16) * 16, 5, axis=2)
                np.save(folder / role / name / f"{index}.npy", deep)
    settings = {}
    for role in ("source", "target"):
        settings[f"data__{role}__channels"] = 5
        settings[f"data__{role}__value_range"] = "[0, 4095]"
    return ImagePair(
        f"imagefolder:{folder / 'source'}",
        f"imagefolder:{folder / 'target'}",
        folder / "target" / "bar",
        names,
        settings,
    )


def missing_classes(folder: Path) -> ImagePair:
    """A target that lacks two of the five classes."""
    names = ("bar", "cross", "disc", "frame", "square")
    write_class_folders(folder / "source", dict.fromkeys(names, COUNT), seed=1)
    present = {name: COUNT for name in names if name not in ("cross", "frame")}
    write_class_folders(folder / "target", present, seed=2)
    return ImagePair(
        f"imagefolder:{folder / 'source'}",
        f"imagefolder:{folder / 'target'}",
        folder / "target",
        names,
        {"data__classes": "target_subset"},
    )


def imbalanced(folder: Path) -> ImagePair:
    """Two classes, one of which has a fiftieth of the images of the other one."""
    counts = {"common": 250, "rare": 5}
    for role, seed in (("source", 1), ("target", 2)):
        write_class_folders(folder / role, counts, seed)
    return ImagePair(
        f"imagefolder:{folder / 'source'}",
        f"imagefolder:{folder / 'target'}",
        folder / "target" / "rare",
        tuple(counts),
    )


KINDS: dict[str, Callable[[Path], ImagePair]] = {
    "flat_target": flat_target,
    "image_lists": image_lists,
    "hugging_face": hugging_face,
    "five_channels": five_channels,
    "missing_classes": missing_classes,
    "imbalanced": imbalanced,
}


def write_class_folders(root: Path, counts: dict[str, int], seed: int) -> None:
    """Write PNG images, one folder per class with so many of them."""
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for index, image in enumerate(_images(count, label, seed)):
            Image.fromarray(image).save(root / name / f"{index:03}.png")


def _write_hugging_face(path: Path, names: Sequence[str], order: Sequence[str], seed: int) -> None:
    """Write a file as the library `datasets` does, with the names of the classes in an order."""
    images: list[dict[str, Any]] = []
    labels = []
    for label, name in enumerate(names):
        for pixels in _images(COUNT, label, seed):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": None})
            labels.append(order.index(name))
    kind = {"names": list(order), "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": kind}
    table = pa.table({"image": images, "label": labels})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def _images(count: int, label: int | None, seed: int) -> Pixels:
    """Draw noisy RGB images with a bright stripe whose position is the class."""
    random = np.random.default_rng([seed, 99 if label is None else label])
    images: Images = random.integers(0, 120, (count, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    for index in range(count):
        stripe = random.integers(3) if label is None else label
        top = 2 + 6 * int(stripe)
        images[index, top : top + 4] = 200 + 20 * (seed % 2)
    return images
