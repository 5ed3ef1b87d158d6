from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from support.domains import Rows, load, png

from adaptune.data.domain_pair import open_pair
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec


def write(path: Path, labels: Rows | pa.Array, names: object = None, column: str = "label") -> str:
    """Write a file of images of 16 px with labels, and their names as Hugging Face does."""
    images = [{"bytes": png(index), "path": None} for index in range(len(labels))]
    table = pa.table({"image": images, column: labels})
    if names is not None:
        features = {column: {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
        metadata = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": metadata})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return f"parquet:{path}"


def test_integers_get_the_names_that_hugging_face_stores(tmp_path: Path) -> None:
    domain = load(write(tmp_path / "a.parquet", [2, 0, 2], ["zebra", "ant", "cat"]))
    assert domain.class_names == ("zebra", "cat")
    assert domain.labels.tolist() == [1, 0, 1]


def test_names_in_another_order_in_the_target_are_matched_by_name(tmp_path: Path) -> None:
    rows = [0, 1] * 10
    source = write(tmp_path / "source.parquet", rows, ["cat", "dog"])
    target = write(tmp_path / "target.parquet", rows, ["dog", "cat"])
    spec = DataSpec.model_validate({"source": {"domain": source}, "target": {"domain": target}})
    first, second = open_pair(spec, seed=0).decode()
    assert first.class_names == second.class_names == ("cat", "dog")
    assert first.labels.tolist() == rows
    assert second.labels.tolist() == [1, 0] * 10


def test_shards_that_order_the_names_differently_are_matched_by_name(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002.parquet", [0, 1], ["cat", "dog"])
    write(tmp_path / "nested" / "train-00001-of-00002.parquet", [0, 1], ["dog", "cat"])
    domain = load(f"parquet:{tmp_path}")
    names = [domain.class_names[label] for label in domain.labels]
    assert names == ["dog", "cat", "cat", "dog"]  # sorted by path


def test_names_in_a_mapping_are_taken_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = {"10": "k", "0": "a", "2": "c"}
    domain = load(write(tmp_path / "a.parquet", [0, 1, 2], names))
    assert domain.class_names == ("a", "c", "k")


def test_minus_one_is_no_class_even_if_there_are_names(tmp_path: Path) -> None:
    domain = load(write(tmp_path / "a.parquet", [-1, None, 1], ["cat", "dog"]))
    assert domain.class_names == ("dog",)
    assert domain.labels.tolist() == [-1, -1, 0]


def test_a_label_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the label 2, but names of 2 classes only"):
        load(write(tmp_path / "a.parquet", [0, 2], ["cat", "dog"]))


@pytest.mark.parametrize("metadata", [b"no JSON", b"[]", b'{"info": {"features": null}}'])
def test_metadata_of_another_form_gives_no_names(metadata: bytes, tmp_path: Path) -> None:
    table = pa.table({"image": [png(0)], "label": [3]})
    pq.write_table(
        table.replace_schema_metadata({b"huggingface": metadata}), tmp_path / "a.parquet"
    )
    assert load(f"parquet:{tmp_path}").class_names == ("3",)


@pytest.mark.parametrize(
    ("labels", "names", "indices"),
    [
        (pa.array(["b", "a", None]).dictionary_encode(), ("a", "b"), [1, 0, -1]),
        (pa.array(["b", "a", "b"], pa.large_string()), ("a", "b"), [1, 0, 1]),
        (pa.array([200, 3, 200], pa.uint8()), ("3", "200"), [1, 0, 1]),
        (pa.array([True, False, None]), ("0", "1"), [1, 0, -1]),
        (pa.array([7, 8, None]).dictionary_encode(), ("7", "8"), [0, 1, -1]),
    ],
    ids=["dictionary", "large string", "uint8", "bool", "dictionary of integers"],
)
def test_labels_come_in_many_types(
    labels: pa.Array, names: tuple[str, ...], indices: list[int], tmp_path: Path
) -> None:
    domain = load(write(tmp_path / "a.parquet", labels))
    assert domain.class_names == names
    assert domain.labels.tolist() == indices


@pytest.mark.parametrize("label", [-2, 1.5])
def test_a_number_that_is_no_class_is_named(label: float, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"-1 or null for no label.*one label is {label}"):
        load(write(tmp_path / "a.parquet", [label]))


def test_the_columns_can_have_other_names(tmp_path: Path) -> None:
    table = pa.table({"img": [png(5)] * 2, "fine_label": [1, 3], "coarse_label": [0, 0]})
    pq.write_table(table, tmp_path / "a.parquet")
    name = f"parquet:{tmp_path}"
    fine = load(name, size=16, columns={"image": "img", "label": "fine_label"})
    assert fine.class_names == ("1", "3")
    assert (fine.images == 5).all()
    assert load(name, columns={"image": "img", "label": "coarse_label"}).class_names == ("0",)
    assert load(name, columns={"image": "img", "label": None}).class_names == ()


def test_a_message_names_the_columns_that_exist_and_how_to_choose(tmp_path: Path) -> None:
    name = write(tmp_path / "a.parquet", [0], ["cat"], column="fine_label")
    with pytest.raises(DataError, match=r"no column `pixels`; it has image, fine_label: choose"):
        load(name, columns={"image": "pixels"})
    with pytest.raises(DataError, match=r"no column `species` .*it has image, fine_label"):
        load(name, columns={"label": "species"})


def test_classes_in_a_column_of_another_name_are_not_passed_over(tmp_path: Path) -> None:
    name = write(tmp_path / "a.parquet", [0], ["cat"], column="fine_label")
    with pytest.raises(DataError, match="no column `label`, but classes in `fine_label`: choose"):
        load(name)
    assert load(name, columns={"label": None}).labels.tolist() == [-1]
