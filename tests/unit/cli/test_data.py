"""The commands that show data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.inspected import write_faulty_space, write_sound_space

Run = Callable[..., Any]
Refuse = Callable[..., str]


@pytest.mark.parametrize("name", ["optdigits", "parquet:PATH", "imagefolder:PATH"])
def test_datasets_lists_the_domains(run: Run, name: str) -> None:
    status, out, _ = run("datasets")
    assert status == 0
    assert any(line.startswith(f"{name} ") for line in out.splitlines())


def test_inspect_approves_sound_data(run: Run, tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    page = tmp_path / "page.html"
    status, out, error = run("inspect", space, "--out", page)
    assert (status, error) == (0, "")
    assert out.startswith("ok       Nothing stands in the way of a search.")
    assert f"with images: {page}\n" in out
    assert out.endswith("reports of searches with these data will show the findings\n")
    assert page.exists()


def test_inspect_names_both_images_of_a_leak_and_fails(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("inspect", write_faulty_space(tmp_path))
    assert status == 1
    assert out.startswith("fault    1 image of target_test is also in the source. ")
    assert "bar/004.jpg" in out
    assert "circle/009.jpg" in out
    assert "square/011.jpg" in out
    assert (tmp_path / "results" / "textured-data.html").exists()


def test_inspect_indents_a_fault_of_several_lines(run: Run, tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    (tmp_path / "target" / "circle").rename(tmp_path / "target" / "circles")
    status, out, _ = run("inspect", space)
    assert status == 1
    first, second, *_ = out.splitlines()
    assert "reports of searches" not in out
    assert first == "fault    Source and target must have the same classes; 2 are in both:"
    assert second == f"{'':<11}source imagefolder:{tmp_path / 'source'}: 3 classes"


def test_inspect_takes_overrides_and_refuses_bad_ones(
    run: Run, refusal: Refuse, tmp_path: Path
) -> None:
    space = write_sound_space(tmp_path)
    out = run("inspect", space, "--set", "data.target_test_fraction=0.5").out
    assert "target_test has 45 images" in out
    assert "data.size" in refusal("inspect", space, "--set", "data.size=7")
