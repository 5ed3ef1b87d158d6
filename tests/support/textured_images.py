"""Folders of textured images: a class is a shape in front of a part of a photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

CLASSES = ("bar", "circle", "square")


def write_textured_domain(folder: Path, per_class: int, seed: int, edge: int = 80) -> Path:
    """Write JPEG files into one folder per class."""
    random = np.random.default_rng(seed)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            textured_image(random, name, edge).save(folder / name / f"{index:03d}.jpg", quality=92)
    return folder


def textured_image(random: np.random.Generator, name: str, edge: int) -> Image.Image:
    """Return a shape of a random colour in front of a random texture."""
    coarse = random.integers(0, 256, (7, 7, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((edge, edge), Image.Resampling.BICUBIC)
    image = ImageEnhance.Brightness(image).enhance(random.uniform(0.7, 1.2))
    radius = edge // 5
    x, y = random.integers(edge // 3, 2 * edge // 3, 2)
    height = radius // 3 if name == "bar" else radius
    box = (int(x) - radius, int(y) - height, int(x) + radius, int(y) + height)
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    draw = ImageDraw.Draw(image)
    if name == "circle":
        draw.ellipse(box, fill=(red, green, blue))
    else:
        draw.rectangle(box, fill=(red, green, blue))
    return image


def write_near_copy(image: Path, copy: Path) -> None:
    """Write a copy that is cropped by 5%, resized to 80% and encoded at JPEG quality 60."""
    with Image.open(image) as opened:
        width, height = opened.size
        cropped = opened.crop((0, round(0.05 * height), round(0.95 * width), height))
        size = (round(0.8 * width), round(0.8 * height))
        cropped.resize(size, Image.Resampling.BICUBIC).save(copy, quality=60)


def write_textured_space(folder: Path, source: Path, target: Path) -> Path:
    """Write a search space file over two textured domains."""
    file = folder / "space.yaml"
    file.write_text(
        f"""\
name: textured
data:
  source: {{domain: "imagefolder:{source}", size: 32}}
  target: {{domain: "imagefolder:{target}", size: 32}}
storage: {{out: {folder / "results"}}}
""",
        encoding="utf-8",
    )
    return file
