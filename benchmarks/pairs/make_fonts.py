"""Printed digits as a labelled image folder: the source of the pair of prints and handwriting.

    python benchmarks/pairs/make_fonts.py OUT [--images 6000] [--size 32] [--seed 0] [--fonts PATH]

Writes white digits on black as OUT/0/0000.png to OUT/9/…, with random size, width, thickness,
rotation and position. The fonts are those of the system and of matplotlib, or all fonts in the
folders that `--fonts` names. Every family of fonts has the same probability. The same fonts, seed
and version of Pillow give the same bytes, wherever the fonts are stored. On Debian, packages such
as fonts-liberation, fonts-freefont-ttf, fonts-noto-core and fonts-lato add families.

Fonts without digits, and fonts whose digits are pictures, are left out: at least five of the ten
digits of a font must be most similar to the same digit of the other fonts.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

DIGITS = 10
LEAST_RECOGNISED = 5
SUFFIXES = (".ttf", ".otf", ".ttc")
DRAWN_PX = 128  # size of a font when its digits are drawn
THUMBNAIL_PX = 16
GREY_LEVELS = 4  # of thumbnails that are compared
SUPERSAMPLING = 4
# Ranges of the random changes; lengths are fractions of the edge of an image.
HEIGHT = (0.6, 0.95)
WIDTH_FACTOR = (0.8, 1.2)
ROTATION_DEG = (-12.0, 12.0)
# Odd edges, in px of the supersampled image, of the filters that thin and thicken strokes.
THINNING = (-5, -3, 1, 3, 5, 7)
LEAST_INK = 0.4  # of the strokes, below which they are not thinned


@dataclass(frozen=True)
class Typeface:
    """The ten digits of a font.

    Attributes:
        family: the first two words of the name of its family.
        key: decides the order of typefaces; it does not depend on where a font is stored.
        digits: the digits 0 to 9, cropped, white on black.
    """

    family: str
    key: str
    digits: tuple[Image.Image, ...]

    def thumbnails(self) -> NDArray[np.float64]:
        """Return the digits, centred, in a common size: (10, pixels), 0 to 1."""
        return np.stack([_thumbnail(digit) for digit in self.digits])


def font_files(folders: Sequence[Path]) -> list[Path]:
    """Return the fonts in `folders`, or those of the system and of matplotlib if there are none."""
    if not folders:
        from matplotlib import font_manager, get_data_path

        folders = [Path(get_data_path()) / "fonts" / "ttf"]
        system = [Path(name) for name in font_manager.findSystemFonts()]
    else:
        system = []
    files = [file for folder in folders for file in folder.rglob("*")]
    return [file for file in files + system if file.suffix.lower() in SUFFIXES]


def load_typefaces(files: Iterable[Path]) -> list[Typeface]:
    """Return the fonts that have ten legible digits, without those whose digits look the same."""
    by_shape: dict[bytes, Typeface] = {}
    for typeface in sorted(_drawn(files), key=lambda typeface: typeface.key):
        shape = np.rint(typeface.thumbnails() * GREY_LEVELS).tobytes()
        by_shape.setdefault(shape, typeface)
    typefaces = list(by_shape.values())
    if not typefaces:
        return []
    thumbnails = np.stack([typeface.thumbnails() for typeface in typefaces])
    consensus = _normalised(np.median(thumbnails, axis=0))
    legible = []
    for typeface, digits in zip(typefaces, thumbnails, strict=True):
        similarity = _normalised(digits) @ consensus.T
        recognised = int((similarity.argmax(axis=1) == np.arange(DIGITS)).sum())
        if recognised >= LEAST_RECOGNISED:
            legible.append(typeface)
    return legible


def draw_image(digit: Image.Image, size: int, random: np.random.Generator) -> Image.Image:
    """Return a changed digit at a random position of a square image.

    Args:
        digit: a digit of a typeface.
        size: edge in px.
        random: decides all changes.
    """
    edge = size * SUPERSAMPLING
    rotated = digit.rotate(random.uniform(*ROTATION_DEG), Image.Resampling.BICUBIC, expand=True)
    rotated = _cropped(rotated)
    height = random.uniform(*HEIGHT) * edge
    width = height * rotated.width / rotated.height * random.uniform(*WIDTH_FACTOR)
    largest = HEIGHT[1] * edge
    shrink = min(1, largest / width)
    form = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    resized = rotated.resize(form, Image.Resampling.BICUBIC)
    left = int(random.integers(0, edge - form[0] + 1))
    top = int(random.integers(0, edge - form[1] + 1))
    image = Image.new("L", (edge, edge))
    image.paste(resized, (left, top))
    image = _with_thickness(image, int(random.choice(THINNING)))
    return image.reduce(SUPERSAMPLING)


def write_images(
    folder: Path, typefaces: Sequence[Typeface], count: int, size: int, seed: int
) -> None:
    """Write images into one folder per digit.

    Args:
        folder: a folder to make.
        typefaces: the typefaces, in a fixed order.
        count: number of images of all digits together.
        size: edge in px.
        seed: decides the images; each is a function of the seed, its digit and its number.
    """
    families: dict[str, list[Typeface]] = {}
    for typeface in typefaces:
        families.setdefault(typeface.family, []).append(typeface)
    members = list(families.values())
    for digit in range(DIGITS):
        class_folder = folder / str(digit)
        class_folder.mkdir(parents=True)
        for number in range(count // DIGITS):
            random = np.random.default_rng([seed, digit, number])
            family = members[random.integers(len(members))]
            typeface = family[random.integers(len(family))]
            image = draw_image(typeface.digits[digit], size, random)
            image.save(class_folder / f"{number:04d}.png")


def _drawn(files: Iterable[Path]) -> list[Typeface]:
    """Return the fonts in which ten digits can be drawn, each content once."""
    by_digest: dict[str, Typeface] = {}
    for file in files:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if digest in by_digest:
            continue
        try:
            font = ImageFont.truetype(file, DRAWN_PX, layout_engine=ImageFont.Layout.BASIC)
            digits = tuple(_drawn_digit(font, str(digit)) for digit in range(DIGITS))
        except OSError:  # such as a font of bitmaps, which has no such size
            continue
        family, style = font.getname()
        # Families such as Noto Sans have a member of nearly the same digits for each script.
        group = " ".join((family or "").split()[:2])
        by_digest[digest] = Typeface(group, f"{family} {style} {digest}", digits)
    return list(by_digest.values())


def _drawn_digit(font: ImageFont.FreeTypeFont, text: str) -> Image.Image:
    image = Image.new("L", (3 * DRAWN_PX, 3 * DRAWN_PX))
    ImageDraw.Draw(image).text((DRAWN_PX, DRAWN_PX), text, fill=255, font=font)
    return _cropped(image)


def _cropped(image: Image.Image) -> Image.Image:
    """Return the part of an image that is not black.

    Raises:
        OSError: all of it is black.
    """
    box = image.getbbox()
    if box is None:
        raise OSError("the font draws nothing")
    return image.crop(box)


def _thumbnail(digit: Image.Image) -> NDArray[np.float64]:
    edge = max(digit.size)
    square = Image.new("L", (edge, edge))
    square.paste(digit, ((edge - digit.width) // 2, (edge - digit.height) // 2))
    small = square.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64).ravel() / 255


def _normalised(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of mean 0 and norm 1; a constant row is 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    normalised: NDArray[np.float64] = centred / np.maximum(norms, 1e-9)
    return normalised


def _with_thickness(image: Image.Image, thinning: int) -> Image.Image:
    """Thicken the strokes by a filter of this edge, or thin them if it is negative."""
    if thinning > 0:
        return image.filter(ImageFilter.MaxFilter(thinning))
    thinned = image.filter(ImageFilter.MinFilter(-thinning))
    ink = np.asarray(image, dtype=np.float64).sum()
    if np.asarray(thinned, dtype=np.float64).sum() < LEAST_INK * ink:
        return image
    return thinned


def main() -> None:
    """Write the image folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--images", type=int, default=6000, help="number of images")
    parser.add_argument("--size", type=int, default=32, help="edge in px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="folder of fonts")
    options = parser.parse_args()
    if options.out.exists():
        sys.exit(f"{options.out} exists: remove it, or name another folder")
    typefaces = load_typefaces(font_files(options.fonts))
    if not typefaces:
        sys.exit("no font with ten legible digits: install fonts, or name a folder with --fonts")
    write_images(options.out, typefaces, options.images, options.size, options.seed)
    families = len({typeface.family for typeface in typefaces})
    print(
        f"{options.out}: {options.images} images from {len(typefaces)} fonts of {families} families"
    )


if __name__ == "__main__":
    main()
