from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support.inspected import write_sound_space

from adaptune.data.copies import Copy
from adaptune.data.inspected_pair import InspectedPair
from adaptune.report import data_tables
from adaptune.spec import load_spec
from adaptune.workflows.data_report import inspect_data


@pytest.fixture
def pair(tmp_path: Path) -> InspectedPair:
    space = write_sound_space(tmp_path)
    Image.new("L", (40, 10), 7).save(tmp_path / "source" / "bar" / "000.jpg")
    return inspect_data(load_spec(space)).pair


def test_counts_are_by_class_and_part_with_their_sums(pair: InspectedPair) -> None:
    table = data_tables.counts_table(pair)
    assert table.header[1:] == (
        "source_train",
        "source_val",
        "target_train",
        "target_val",
        "target_test",
    )
    assert table.rows[0] == ("bar", "27", "3", "18", "6", "6")
    assert table.rows[-1] == ("all", "81", "9", "54", "18", "18")


def test_stored_forms_show_sizes_and_formats(pair: InspectedPair) -> None:
    source, target = data_tables.stored_table(pair).rows
    forms = "89 JPEG, RGB, 8 bit; 1 JPEG, grey, 8 bit"
    assert source == ("source", "90", "40 × 10", "80 × 80", "80 × 80", forms, "0")
    assert target[5] == "JPEG, RGB, 8 bit"


def test_statistics_have_one_mean_per_channel(pair: InspectedPair) -> None:
    source, target = data_tables.statistics_table(pair).rows
    assert (source[0], target[0]) == ("source", "target")
    assert len(source[1].split(" / ")) == 3


def test_copies_have_both_places_and_the_similarity(pair: InspectedPair) -> None:
    copies = [Copy(90, 0, None), Copy(91, 1, 0.99812)]
    part = pair.parts[0]
    first, second = data_tables.copy_lines(pair, copies)
    assert first == f"{pair.parts[90]} bar/000.jpg is in {part}: bar/000.jpg (same file)"
    assert second.endswith("bar/001.jpg (0.998)")
