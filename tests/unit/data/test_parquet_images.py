from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from support.domains import Rows, load, png, write_table

from adaptune.data.domain import ALL_SAMPLES, ImageSource, LoadRequest, StoredImage
from adaptune.data.parquet import parquet
from adaptune.data.parquet_images import check_image_type
from adaptune.errors import DataError


def source_of(path: Path) -> ImageSource:
    request = LoadRequest(root=Path("unused"), path=path, seed=0, half=ALL_SAMPLES)
    images = parquet(request).images
    assert not isinstance(images, np.ndarray)
    return images


def struct(*rows: tuple[bytes | None, str | None]) -> Rows:
    return [{"bytes": content, "path": path} for content, path in rows]


def test_a_row_without_bytes_is_read_from_its_path_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "images" / "a.png").write_bytes(png(7))
    rows = struct((None, "images/a.png"), (png(8), "images/b.png"))
    name = write_table(tmp_path / "data" / "t.parquet", rows, [0, 1])
    images = load(name, size=16).images
    assert images[:, 0, 0, 0].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing.png", r"row 0 \(.*missing\.png\) cannot be read: No such file"),
        ("/home/someone/.cache/a.png", "row 0 has no bytes, and its path .* is not relative"),
        ("https://example.org/a.png", "row 0 has no bytes, and its path .* is not relative"),
        (None, "row 0 has no image"),
    ],
)
def test_a_row_without_bytes_and_without_a_file_is_named(
    path: str | None, message: str, tmp_path: Path
) -> None:
    rows = struct((None, path), (png(1), None))
    with pytest.raises(DataError, match=message):
        load(write_table(tmp_path / "a.parquet", rows, [0, 0]))


def test_a_change_of_an_image_beside_the_table_changes_its_stamp(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(7))
    write_table(tmp_path / "t.parquet", struct((None, "a.png"), (png(8), None)), [0, 1])
    source = source_of(tmp_path)
    before = source.stamps(np.arange(2))
    os.utime(tmp_path / "a.png", ns=(1, 1))
    after = source.stamps(np.arange(2))
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_a_change_of_the_table_changes_all_stamps(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", [png(7), png(8)], [0, 1])
    source = source_of(tmp_path)
    before = source.stamps(np.arange(2))
    assert len(set(before)) == 2
    os.utime(tmp_path / "t.parquet", ns=(1, 1))
    assert set(before).isdisjoint(source.stamps(np.arange(2)))


def test_a_source_can_be_sent_to_a_process_and_holds_no_pixels(tmp_path: Path) -> None:
    noise = [os.urandom(100_000) for _ in range(20)]
    write_table(tmp_path / "a.parquet", [*noise, png(3)], None)
    source = source_of(tmp_path).subset(np.array([20]))
    sent = pickle.dumps(source)
    assert len(sent) < 2000
    [image] = pickle.loads(sent).read(np.array([0]))
    assert isinstance(image, StoredImage)
    assert image.pixels[0, 0] == 3
    assert source.name(0) == f"{tmp_path}/a.parquet, row 20"


def test_rows_of_several_files_and_groups_keep_their_order(tmp_path: Path) -> None:
    for number in range(3):
        images = [png(10 * number + row) for row in range(7)]
        table = pa.table({"image": images})
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=3)
    source = source_of(tmp_path)
    order = np.random.default_rng(0).permutation(21)
    values = []
    for image in source.read(order):
        assert isinstance(image, StoredImage)
        values.append(int(image.pixels[0, 0]))
    assert values == [10 * (row // 7) + row % 7 for row in order]


def test_lists_of_uint16_keep_16_bits_and_any_number_of_channels(tmp_path: Path) -> None:
    kind = pa.list_(pa.list_(pa.list_(pa.uint16(), 5)))
    pixels = np.random.default_rng(0).integers(0, 65536, (16, 16, 5)).astype(np.uint16)
    name = write_table(tmp_path / "a.parquet", [pixels.tolist()], [0], kind)
    [image] = source_of(tmp_path).read(np.array([0]))
    assert isinstance(image, StoredImage)
    assert np.array_equal(image.pixels, pixels)
    prepared = load(name, size=16, channels=5).images
    expected = (pixels / 257).round().transpose(2, 0, 1)
    assert np.array_equal(prepared[0], expected)


@pytest.mark.parametrize(
    "pixels", [[[1, 2], [3]], [[], []], [], [[1, None]]], ids=["ragged", "empty", "none", "null"]
)
def test_lists_that_form_no_array_are_named(pixels: Rows, tmp_path: Path) -> None:
    kind = pa.list_(pa.list_(pa.int64()))
    with pytest.raises(DataError, match="row 0"):
        load(write_table(tmp_path / "a.parquet", [pixels], [0], kind))


def test_an_empty_shard_without_types_is_passed_over(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", [], [])
    write_table(tmp_path / "b.parquet", [png(1)], ["cat"])
    assert load(f"parquet:{tmp_path}").class_names == ("cat",)


def test_a_column_of_another_type_is_refused_by_its_name() -> None:
    with pytest.raises(DataError, match=r"column `img` of a\.parquet must hold bytes"):
        check_image_type(pa.string(), "img", Path("a.parquet"))
