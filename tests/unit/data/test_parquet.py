from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from support.domains import Rows, load, png, write_table

from adaptune.data import memory
from adaptune.data.array_types import Images
from adaptune.data.domain import Decoding
from adaptune.errors import DataError


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        ([png(5), png(6)], pa.binary()),
        ([png(5), png(6)], pa.large_binary()),
        ([{"bytes": png(5), "path": None}, {"bytes": png(6), "path": "x"}], None),
        ([np.full((16, 16), n).tolist() for n in (5, 6)], None),
        (
            [np.full((16, 16, 3), n).tolist() for n in (5, 6)],
            pa.list_(pa.list_(pa.list_(pa.uint8()))),
        ),
    ],
    ids=["bytes", "large bytes", "struct", "HW", "HWC"],
)
def test_parquet_images_come_as_bytes_structs_or_lists(
    images: Rows, kind: pa.DataType | None, tmp_path: Path
) -> None:
    domain = load(write_table(tmp_path / "a.parquet", images, ["x", "y"], kind), size=16)
    assert domain.images.shape == (2, 3, 16, 16)
    assert domain.images[:, 0, 0, 0].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("labels", "names", "indices"),
    [
        (["b", "a", None], ("a", "b"), [1, 0, -1]),
        ([10, 2, None], ("2", "10"), [1, 0, -1]),
        ([10, 2, -1], ("2", "10"), [1, 0, -1]),
        ([3.0, float("nan"), 1.0], ("1", "3"), [1, -1, 0]),
        ([None, None, None], (), [-1, -1, -1]),
        (None, (), [-1, -1, -1]),
    ],
    ids=["strings", "integers", "minus one", "pandas floats", "nulls", "no column"],
)
def test_parquet_labels_are_strings_integers_or_null(
    labels: Rows | None, names: tuple[str, ...], indices: list[int], tmp_path: Path
) -> None:
    domain = load(write_table(tmp_path / "a.parquet", [png(0)] * 3, labels))
    assert domain.class_names == names
    assert domain.labels.tolist() == indices


def test_parquet_reads_a_folder_in_the_order_of_names(tmp_path: Path) -> None:
    write_table(tmp_path / "sub" / "b.parquet", [png(2)], [None])
    write_table(tmp_path / "a.parquet", [png(1)], [7])
    domain = load(f"parquet:{tmp_path}")
    assert domain.images[:, 0, 0, 0].tolist() == [1, 2]
    assert domain.labels.tolist() == [0, -1]


def test_a_file_without_labels_is_unlabelled_next_to_one_with_labels(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", [png(1)], None)
    write_table(tmp_path / "b.parquet", [png(2)], ["cat"])
    domain = load(f"parquet:{tmp_path}")
    assert domain.class_names == ("cat",)
    assert domain.labels.tolist() == [-1, 0]


def test_files_whose_columns_differ_in_type_are_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", [png(1)], ["cat"])
    write_table(tmp_path / "b.parquet", [png(2)], [1])
    with pytest.raises(DataError, match="differ in their columns' types"):
        load(f"parquet:{tmp_path}")


def test_parquet_names_the_row_that_cannot_be_read(tmp_path: Path) -> None:
    for number, bad in enumerate((b"nonsense", None)):
        with pytest.raises(DataError, match=r"\.parquet, row 1"):
            load(write_table(tmp_path / f"{number}.parquet", [png(0), bad], [0, 1]))
    for number in (300, -1, 2**62):
        with pytest.raises(DataError, match="row 0 is not an image of 0 to 255"):
            load(write_table(tmp_path / f"{number}.parquet", [[[0, number]]], [0]))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (["text"], [0], "must hold bytes"),
        ([[[0.5]]], [0], "must hold bytes"),
        ([[1, 2]], [0], "must be uint8 or uint16, HW or HWC"),
        ([png(0)], [0.5], "labels of .* must be strings or integers"),
        ([png(0)], [float("inf")], "labels of .* must be strings or integers"),
        ([png(0)], [[1]], "labels of .* must be strings or integers"),
        ([], [], "has no rows"),
    ],
)
def test_parquet_refuses_other_columns(
    images: Rows, labels: Rows, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        load(write_table(tmp_path / "a.parquet", images, labels))


def test_parquet_refuses_what_is_missing_or_broken(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.parquet"):
        with pytest.raises(DataError, match="there is no Parquet file"):
            load(f"parquet:{path}")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"broken\.parquet cannot be read"):
        load(f"parquet:{tmp_path}")
    pq.write_table(pa.table({"picture": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="has no column `image`; it has picture"):
        load(f"parquet:{tmp_path / 'other.parquet'}")


def test_only_images_within_the_limit_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def decode(encoded: bytes, name: str, decoding: Decoding) -> Images:
        decoded.append(name)
        return np.zeros((16, 16), np.uint8)

    monkeypatch.setattr("adaptune.data.parquet_images.decode", decode)
    name = write_table(tmp_path / "a.parquet", [png(0)] * 4, [0, 0, 1, 1])
    assert sorted(load(name, limit=2).labels.tolist()) == [0, 1]
    assert len(decoded) == 2


def test_columns_that_do_not_fit_in_memory_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.zeros((400, 400), np.uint8).tolist()
    name = write_table(tmp_path / "a.parquet", [pixels], ["x"])
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: 400 * 400 - 1)
    with pytest.raises(DataError, match=r"the columns of .*a\.parquet need .* of memory"):
        load(name)
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: 10**9)
    assert load(name).images.shape == (1, 3, 32, 32)


def test_pipes_and_folders_of_a_tables_name_are_passed_over(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", [png(1)], ["x"])
    os.mkfifo(tmp_path / "b.parquet")
    write_table(tmp_path / "c.parquet" / "part.parquet", [png(2)], ["x"])
    (tmp_path / "d.parquet").symlink_to(tmp_path / "missing.parquet")
    assert load(f"parquet:{tmp_path}").images[:, 0, 0, 0].tolist() == [1, 2]
    with pytest.raises(DataError, match="there is no Parquet file"):
        load(f"parquet:{tmp_path / 'b.parquet'}")


def test_a_path_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        load(f"parquet:/{'x' * 5000}")


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    labels = pa.StringArray.from_buffers(
        1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\x85\xa7")
    )
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": pa.array([png(1)]), "label": labels}), path)
    with pytest.raises(DataError, match=r"a\.parquet cannot be read: 'utf-8' codec"):
        load(f"parquet:{path}")
