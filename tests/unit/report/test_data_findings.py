from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.inspected import write_faulty_space, write_sound_space
from support.textured_images import textured_image

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


def test_leaks_come_first_and_unreadable_images_follow(tmp_path: Path) -> None:
    faults = messages(findings_on(write_faulty_space(tmp_path)), "fault")
    remedy = "so that the test score would be too high. Check the pairs below, and remove one of"
    assert faults == [
        f"1 image of target_test is also in the source, {remedy} each.",
        f"1 image of target_test is nearly the same as one in the source, {remedy} each.",
        "1 image(s) of the source cannot be read: repair or delete them.",
    ]


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


def test_control_characters_of_names_are_escaped(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    picture = textured_image(np.random.default_rng(9), "bar", 80)
    picture.save(tmp_path / "source" / "bar" / "a.jpg")
    blank = Image.new("RGB", (80, 80), "white")
    blank.save(tmp_path / "source" / "bar" / "\x1b[31m.jpg")
    assert r"such as bar/\x1b[31m.jpg" in messages(findings_on(space), "warning")[0]
