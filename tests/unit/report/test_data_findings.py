from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.inspected import names_of_test, write_faulty_space, write_sound_space
from support.textured_images import textured_image, write_near_copy

from adaptune.report.data_findings import DataFinding, findings
from adaptune.spec import load_spec
from adaptune.workflows.data_report import inspect_data


def findings_on(space: Path, *overrides: str) -> list[DataFinding]:
    return findings(inspect_data(load_spec(space, list(overrides))).pair)


def messages(found: list[DataFinding], level: str) -> list[str]:
    return [finding.message for finding in found if finding.level == level]


def test_sound_data_is_approved_and_a_small_test_is_pointed_out(tmp_path: Path) -> None:
    assert findings_on(write_sound_space(tmp_path)) == [
        DataFinding(
            "ok",
            "Nothing stands in the way of a search. No image of target_test is in another part.",
        ),
        DataFinding(
            "warning",
            "target_test has 18 images: at an accuracy of 70%, the standard error is 10.8 points.",
        ),
    ]


def test_identical_files_are_faults_and_near_copies_are_the_first_warning(tmp_path: Path) -> None:
    found = findings_on(write_faulty_space(tmp_path))
    assert messages(found, "fault") == [
        "1 image of target_test is also in the source. The test score would be too high: check the"
        " pairs below, and remove one of each.",
        "1 image(s) of the source cannot be read: repair or delete them.",
    ]
    assert messages(found, "warning")[0] == (
        "1 image of target_test is nearly the same as one in the source. If they are copies, the"
        " test score is too high: check the pairs below, and remove one of each."
    )


def test_a_near_copy_alone_is_the_headline_and_no_fault(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    name, *_ = names_of_test(inspect_data(load_spec(space)))
    write_near_copy(tmp_path / "target" / name, tmp_path / "source" / "bar" / "009.jpg")
    found = findings_on(space)
    assert found[0].level == "warning"
    assert "of target_test is nearly the same as one in the source" in found[0].message
    assert not messages(found, "ok")


def test_copies_in_two_classes_are_contradictions(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    content = (tmp_path / "source" / "bar" / "000.jpg").read_bytes()
    (tmp_path / "source" / "circle" / "000.jpg").write_bytes(content)
    warnings = messages(findings_on(space), "warning")
    assert warnings[:2] == [
        "1 pair(s) of copies are in different classes: one of the labels is wrong.",
        "Pairs of the same or nearly the same image: 1 within the source.",
    ]


@pytest.mark.parametrize("role", ["source", "target"])
def test_unequal_classes_are_a_warning(tmp_path: Path, role: str) -> None:
    space = write_sound_space(tmp_path)
    for file in sorted((tmp_path / role / "bar").iterdir())[6:]:
        file.unlink()
    warnings = messages(findings_on(space), "warning")
    assert warnings[0].startswith(
        f"The largest class of the {role} has 5.0 times as many images as the smallest."
    )
    assert ("information term" in warnings[0]) == (role == "target")
    # 6 of 66 images instead of a third of them.
    assert "24% of the images would have to change their class" in warnings[1]


def test_blank_images_are_a_warning(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    Image.new("RGB", (80, 80), "white").save(tmp_path / "target" / "bar" / "007.jpg")
    warnings = messages(findings_on(space), "warning")
    assert warnings[0] == "1 image of the target is of one colour, such as bar/007.jpg."


def test_classes_that_differ_are_a_fault_of_several_lines(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    (tmp_path / "target" / "circle").rename(tmp_path / "target" / "circles")
    (fault,) = messages(findings_on(space), "fault")
    first, *rest = fault.splitlines()
    assert first == "Source and target must have the same classes; 2 are in both:"
    assert "  only in the target: circles" in rest


def test_classes_that_a_search_would_not_use_are_a_warning(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    (tmp_path / "target" / "circle").rename(tmp_path / "target" / "ring")
    warnings = messages(findings_on(space, "data.classes=intersection"), "warning")
    assert warnings[0].startswith(f"Source imagefolder:{tmp_path / 'source'}: 30 sample(s) of")
    assert warnings[1].endswith("are not used: ring.")


def test_a_small_part_of_16_bits_is_a_warning(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    random = np.random.default_rng(0)
    for file in (tmp_path / "target").rglob("*.jpg"):
        pixels = random.integers(7, 900, (20, 20, 3), dtype=np.uint16)
        pixels[0, 0] = (7, 7, 899)
        np.save(file.with_suffix(".npy"), pixels)
        file.unlink()
    warnings = messages(findings_on(space), "warning")
    assert warnings[0] == (
        "In the target, the images use only 7 to 899 of 0 to 65535, so that they are almost of one"
        " colour: set value_range: [7, 899]."
    )


def test_control_characters_of_names_are_escaped(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    picture = textured_image(np.random.default_rng(9), "bar", 80)
    picture.save(tmp_path / "source" / "bar" / "a.jpg")
    blank = Image.new("RGB", (80, 80), "white")
    blank.save(tmp_path / "source" / "bar" / "\x1b[31m.jpg")
    assert r"such as bar/\x1b[31m.jpg" in messages(findings_on(space), "warning")[0]
