"""Two small domains of textured images with planted faults, and their inspection."""

from __future__ import annotations

import shutil
from pathlib import Path

from adaptune.spec import load_spec
from adaptune.workflows.data_report import DataReport, inspect_data
from support.textured_images import write_near_copy, write_textured_domain, write_textured_space

PER_CLASS = 30


def write_sound_space(folder: Path) -> Path:
    """Write a search space over two domains in which nothing is wrong."""
    source = write_textured_domain(folder / "source", PER_CLASS, seed=0)
    target = write_textured_domain(folder / "target", PER_CLASS, seed=1)
    return write_textured_space(folder, source, target)


def write_faulty_space(folder: Path) -> Path:
    """Write a search space over two domains with two leaks and an unreadable image."""
    space = write_sound_space(folder)
    exact, near, *_ = names_of_test(inspect_data(load_spec(space)))
    shutil.copy(folder / "target" / exact, folder / "source" / "bar" / "004.jpg")
    write_near_copy(folder / "target" / near, folder / "source" / "circle" / "009.jpg")
    (folder / "source" / "square" / "011.jpg").write_bytes(b"text")
    return space


def names_of_test(report: DataReport) -> list[str]:
    """Return the names of the images of target_test."""
    pair = report.pair
    indices = (pair.parts == "target_test").nonzero()[0]
    return [pair.image_name(int(index)) for index in indices]
