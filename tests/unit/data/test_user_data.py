"""imagefolder:PATH and parquet:PATH, and what is wrong with them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet as pq

from adaptune.data.domain import Domain
from adaptune.data.domain_pair import load_pair
from adaptune.data.registry import load_domain
from adaptune.errors import DataError
from adaptune.spec.schema import DataSpec, DomainSpec

Rows = list[object]


def load(name: str, **form: object) -> Domain:
    spec = DomainSpec.model_validate({"domain": name, "size": 16, **form})
    return load_domain(spec, root=Path("unused"), seed=0)


def pair(source: str, target: str) -> tuple[Domain, Domain]:
    form = {"size": 16}
    spec = DataSpec.model_validate(
        {"source": {"domain": source, **form}, "target": {"domain": target, **form}}
    )
    return load_pair(spec, seed=0)


def png(value: int, size: tuple[int, int] = (16, 16), mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, value).save(buffer, "PNG")
    return buffer.getvalue()


def folder(root: Path, classes: dict[str, int]) -> str:
    for number, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            (root / name / f"{index}.png").write_bytes(png(number * 10 + index))
    return f"imagefolder:{root}"


def table(path: Path, images: Rows, labels: Rows | None, kind: pa.DataType | None = None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"image": pa.array(images, type=kind)}
    if labels is not None:
        columns["label"] = pa.array(labels)
    pq.write_table(pa.table(columns), path)
    return f"parquet:{path}"


def test_imagefolder_takes_sorted_subfolders_as_classes(tmp_path: Path) -> None:
    name = folder(tmp_path, {"dog": 1, "cat": 2})
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    domain = load(name)
    assert domain.class_names == ("cat", "dog")
    assert domain.labels.tolist() == [0, 0, 1]
    assert domain.images[:, 0, 0, 0].tolist() == [10, 11, 0]


def test_imagefolder_takes_images_of_any_size_and_mode(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number, mode in enumerate(["L", "RGB", "RGBA", "P", "1", "LA"]):
        (tmp_path / "a" / f"{mode}.png").write_bytes(png(0, (20 + number, 30), mode))
    assert load(f"imagefolder:{tmp_path}").images.shape == (6, 3, 16, 16)


def test_imagefolder_names_the_image_that_cannot_be_read(tmp_path: Path) -> None:
    name = folder(tmp_path, {"cat": 3})
    (tmp_path / "cat" / "1.png").write_bytes(png(3)[:40])
    with pytest.raises(DataError, match=r"cat/1\.png cannot be read as an image"):
        load(name)


def test_an_image_of_16_bits_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save(tmp_path / "a" / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has more than 8 bits"):
        load(f"imagefolder:{tmp_path}")


def test_imagefolder_refuses_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        load(f"imagefolder:{tmp_path / 'missing'}")
    with pytest.raises(DataError, match="has no class folders"):
        load(f"imagefolder:{tmp_path}")
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"no image in .*cat"):
        load(f"imagefolder:{tmp_path}")


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
    domain = load(table(tmp_path / "a.parquet", images, ["x", "y"], kind))
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
    domain = load(table(tmp_path / "a.parquet", [png(0)] * 3, labels))
    assert domain.class_names == names
    assert domain.labels.tolist() == indices


def test_parquet_reads_a_folder_in_the_order_of_names(tmp_path: Path) -> None:
    table(tmp_path / "sub" / "b.parquet", [png(2)], [None])
    table(tmp_path / "a.parquet", [png(1)], [7])
    domain = load(f"parquet:{tmp_path}")
    assert domain.images[:, 0, 0, 0].tolist() == [1, 2]
    assert domain.labels.tolist() == [0, -1]


def test_parquet_names_the_row_that_cannot_be_read(tmp_path: Path) -> None:
    for number, bad in enumerate((b"nonsense", None)):
        with pytest.raises(DataError, match=r"\.parquet, row 1"):
            load(table(tmp_path / f"{number}.parquet", [png(0), bad], [0, 1]))
    with pytest.raises(DataError, match="row 0 is not an image of 0 to 255"):
        load(table(tmp_path / "high.parquet", [[[0, 300]]], [0]))


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (["text"], [0], "must hold bytes"),
        ([[[0.5]]], [0], "must hold bytes"),
        ([[1, 2]], [0], "must be uint8, HW or HWC"),
        ([png(0)], [0.5], "labels of .* must be strings or integers"),
        ([png(0)], [float("inf")], "labels of .* must be strings or integers"),
        ([png(0)], [[1]], "labels of .* must be strings or integers"),
        ([], [], "has no rows"),
    ],
)
def test_parquet_refuses_other_columns(
    images: Rows, labels: Rows, says: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=says):
        load(table(tmp_path / "a.parquet", images, labels))


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
    monkeypatch.setattr(
        "adaptune.data.parquet.decode",
        lambda encoded, name: decoded.append(name) or np.zeros((16, 16), np.uint8),
    )
    name = table(tmp_path / "a.parquet", [png(0)] * 4, [0, 0, 1, 1])
    assert sorted(load(name, limit=2).labels.tolist()) == [0, 1]
    assert len(decoded) == 2


def test_classes_that_differ_are_shown_side_by_side(tmp_path: Path) -> None:
    ours, theirs = (
        folder(tmp_path / "s", {"cat": 1, "dog": 1}),
        folder(tmp_path / "t", {"cat": 1, "fox": 1}),
    )
    with pytest.raises(DataError, match=r"(?s)same classes.*cat, dog.*cat, fox"):
        pair(ours, theirs)


def test_the_same_classes_in_another_order_are_brought_to_the_sources(tmp_path: Path) -> None:
    ours = folder(tmp_path / "s", {"2": 1, "10": 1})
    theirs = table(tmp_path / "t.parquet", [png(0)] * 3, [2, 10, None])
    source, target = pair(ours, theirs)
    assert source.class_names == target.class_names == ("10", "2")
    assert target.labels.tolist() == [1, 0, -1]


def test_a_target_without_any_label_takes_the_sources_class_names(tmp_path: Path) -> None:
    _, target = pair(
        folder(tmp_path / "s", {"cat": 1}), table(tmp_path / "t.parquet", [png(0)], [None])
    )
    assert target.class_names == ("cat",)


def test_an_unlabelled_sample_in_the_source_is_refused(tmp_path: Path) -> None:
    name = table(tmp_path / "a.parquet", [png(0)] * 3, [1, None, None])
    with pytest.raises(DataError, match="2 of 3 samples have no label"):
        pair(name, table(tmp_path / "b.parquet", [png(0)], [1]))


def test_one_domain_cannot_be_both_source_and_target(tmp_path: Path) -> None:
    name = folder(tmp_path / "a", {"cat": 1})
    for other in (name, f"imagefolder:{tmp_path}/./b/../a"):
        with pytest.raises(
            DataError, match="target_test would be seen, with their labels, in training"
        ):
            pair(name, other)
    with pytest.raises(DataError, match="source and target are both optdigits"):
        pair("optdigits", "optdigits")
