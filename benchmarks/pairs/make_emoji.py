"""Drawings of emoji in two styles as image folders: a pair in colour with nine classes.

    npm pack emoji-datasource-google emoji-datasource-twitter  # unpack each of the two archives
    python benchmarks/pairs/make_emoji.py SOURCE_PACKAGE TARGET_PACKAGE OUT [--limit 200]
        [--held-out 0.3] [--seed 0]

SOURCE_PACKAGE and TARGET_PACKAGE are unpacked packages of two vendors: folders with emoji.json and
img/VENDOR/64. Writes class folders of the vendors' PNG files, 64 px with a transparent background,
to OUT/source, OUT/target and OUT/target_test.

An emoji of target_test is not in OUT/source, and neither are its variants of another gender or skin
tone: a classifier of the source has not seen what it is tested on. The other emoji are both in
OUT/source and in OUT/target, each in the style of its vendor. A class has at most `--limit` emoji
in all. Skin tones are added only to a class that has fewer, such as hands.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# From a class to its category and the prefixes of its subcategories in emoji.json.
CLASSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "animal": ("Animals & Nature", ("animal",)),
    "face": ("Smileys & Emotion", ("face", "cat-face", "monkey-face")),
    "flag": ("Flags", ("",)),
    "food": ("Food & Drink", ("",)),
    "hand": ("People & Body", ("hand", "body-parts")),
    "object": ("Objects", ("",)),
    "person": ("People & Body", ("person", "family")),
    "sign": ("Symbols", ("",)),
    "travel": ("Travel & Places", ("place", "transport", "hotel")),
}
JOINER = "200D"
SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}
PEOPLE = {"1F468", "1F469", "1F9D1"}  # man, woman, person
GENDERS = {"2640", "2642"}
PRESENTATION = "FE0F"


@dataclass(frozen=True)
class Emoji:
    """An emoji.

    Attributes:
        image: name of its file.
        identity: the same for its variants of other genders and skin tones.
        has_tone: True if it is a variant in a skin tone.
    """

    image: str
    identity: str
    has_tone: bool = False


@dataclass(frozen=True)
class Package:
    """An unpacked package of a vendor's drawings.

    Attributes:
        root: its folder.
    """

    root: Path

    def images(self) -> Path:
        """Return the folder of the drawings of 64 px.

        Raises:
            FileNotFoundError: the package has no such folder, or several.
        """
        folders = list(self.root.glob("img/*/64"))
        if len(folders) != 1:
            raise FileNotFoundError(
                f"{self.root} is no unpacked package of one vendor: it needs emoji.json and one"
                f" folder img/VENDOR/64, but has {len(folders)}"
            )
        return folders[0]

    def classes(self) -> dict[str, list[Emoji]]:
        """Return the emoji of each class in the order of the package, skin tones included."""
        entries = json.loads((self.root / "emoji.json").read_text(encoding="utf-8"))
        entries.sort(key=lambda entry: entry["unified"])
        members: dict[str, list[Emoji]] = {name: [] for name in CLASSES}
        for entry in entries:
            name = class_of(entry["category"], entry["subcategory"])
            if name is None:
                continue
            members[name].append(Emoji(entry["image"], identity_of(entry["unified"])))
            for variant in entry.get("skin_variations", {}).values():
                identity = identity_of(variant["unified"])
                members[name].append(Emoji(variant["image"], identity, has_tone=True))
        return members


def class_of(category: str, subcategory: str) -> str | None:
    """Return the class of an emoji by its place in the package, or None if it has none."""
    for name, (wanted, prefixes) in CLASSES.items():
        if category == wanted and subcategory.startswith(prefixes):
            return name
    return None


def identity_of(unified: str) -> str:
    """Return the code points of an emoji that do not say gender, skin tone or presentation.

    Args:
        unified: code points in hexadecimal with hyphens, such as 1F468-200D-1F692.
    """
    variable = {JOINER, PRESENTATION} | SKIN_TONES | GENDERS | PEOPLE
    kept = [point for point in unified.split("-") if point not in variable]
    return "-".join(kept) or "person"


def choose(members: Sequence[Emoji], limit: int, random: np.random.Generator) -> list[Emoji]:
    """Choose at most `limit` emoji at random, those without a skin tone before the others."""
    order = random.permutation(len(members))
    shuffled = [members[index] for index in order]
    plain = [emoji for emoji in shuffled if not emoji.has_tone]
    toned = [emoji for emoji in shuffled if emoji.has_tone]
    return (plain + toned)[:limit]


def hold_out(
    members: Sequence[Emoji], fraction: float, random: np.random.Generator
) -> tuple[list[Emoji], list[Emoji]]:
    """Divide emoji into a part for training and a test part, without a common identity.

    Args:
        fraction: the least fraction of the emoji in the test part.
    """
    identities = sorted({emoji.identity for emoji in members})
    withheld: set[str] = set()
    size = 0
    for index in random.permutation(len(identities)):
        if size >= fraction * len(members):
            break
        withheld.add(identities[index])
        size += sum(emoji.identity == identities[index] for emoji in members)
    train = [emoji for emoji in members if emoji.identity not in withheld]
    test = [emoji for emoji in members if emoji.identity in withheld]
    return train, test


def write_pair(
    source: Package, target: Package, out: Path, limit: int, held_out: float, seed: int
) -> dict[str, int]:
    """Write the three folders, and return the number of images in each.

    Args:
        source: the package of the labelled domain; it decides the classes.
        target: the package of the domain to adapt to.
        out: a folder to make.
        limit: largest number of emoji of a class.
        held_out: fraction of the emoji of a class in target_test.
        seed: decides which emoji are used and which are in target_test.
    """
    source_images, target_images = source.images(), target.images()
    counts = {"source": 0, "target": 0, "target_test": 0}
    for label, (name, members) in enumerate(source.classes().items()):
        random = np.random.default_rng([seed, label])
        drawn = []
        for emoji in members:
            if all((folder / emoji.image).exists() for folder in (source_images, target_images)):
                drawn.append(emoji)
        train, test = hold_out(choose(drawn, limit, random), held_out, random)
        parts = (
            ("source", source_images, train),
            ("target", target_images, train),
            ("target_test", target_images, test),
        )
        for part, images, emojis in parts:
            folder = out / part / name
            folder.mkdir(parents=True)
            for emoji in emojis:
                shutil.copyfile(images / emoji.image, folder / emoji.image)
            counts[part] += len(emojis)
    return counts


def main() -> None:
    """Write the image folders."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="unpacked package of the labelled domain")
    parser.add_argument("target", type=Path, help="unpacked package of the domain to adapt to")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--limit", type=int, default=200, help="emoji per class")
    parser.add_argument("--held-out", type=float, default=0.3, help="fraction for target_test")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.out.exists():
        sys.exit(f"{options.out} exists: remove it, or name another folder")
    try:
        counts = write_pair(
            Package(options.source),
            Package(options.target),
            options.out,
            options.limit,
            options.held_out,
            options.seed,
        )
    except OSError as error:
        sys.exit(str(error))
    for part, count in counts.items():
        print(f"{options.out / part}: {count} images")


if __name__ == "__main__":
    main()
