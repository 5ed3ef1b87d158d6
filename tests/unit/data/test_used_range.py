from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptune.data import used_range as module
from adaptune.data.registry import open_domain
from adaptune.data.used_range import range_note
from adaptune.spec.data import DomainSpec


def note(folder: Path, **settings: object) -> str | None:
    spec = DomainSpec.model_validate({"domain": f"imagefolder:{folder}", "size": 16, **settings})
    return range_note(open_domain(spec, root=Path(), seed=0))


def write(folder: Path, low: int, high: int, kind: type[np.uint8 | np.uint16] = np.uint16) -> None:
    """Write 40 images of two values; only the one before the last has the highest value."""
    (folder / "class").mkdir(parents=True, exist_ok=True)
    for index in range(40):
        image = np.full((4, 4), low, dtype=kind)
        image[0, 0] = high if index == 38 else high - 1
        np.save(folder / "class" / f"{index:02d}.npy", image)


@pytest.mark.parametrize("per_process", [10, 100])
def test_a_small_part_of_16_bits_is_found_to_the_value(
    tmp_path: Path, per_process: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST_PER_PROCESS", per_process)
    write(tmp_path, 100, 4095)
    text = note(tmp_path)
    assert text is not None
    assert "only 100 to 4095 of 0 to 65535" in text
    assert "value_range: [100, 4095]" in text


def test_a_range_that_is_set_or_large_needs_no_note(tmp_path: Path) -> None:
    write(tmp_path, 100, 4095)
    assert note(tmp_path, value_range=[0, 5000]) is None
    write(tmp_path, 100, 60000)
    assert note(tmp_path) is None


def test_8_bits_and_images_of_a_package_need_no_note(tmp_path: Path) -> None:
    write(tmp_path, 3, 9, np.uint8)
    assert note(tmp_path) is None
    digits = DomainSpec(domain="optdigits", size=16, limit=20)
    assert range_note(open_domain(digits, root=Path(), seed=0)) is None
