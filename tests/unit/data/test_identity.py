from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.domains import data_spec, identity, load, png, write_folder, write_table

from adaptune.data import image_files
from adaptune.data.array_types import Pixels
from adaptune.data.domain import Decoding
from adaptune.data.identity import (
    DataIdentity,
    array_digests,
    identify_domain,
    identify_split,
    image_digest,
    parse_identity,
)
from adaptune.data.image_set import ImageSet
from adaptune.data.splits import Splits, load_splits

PARTS = {"train": np.array([0, 2]), "test": np.array([1])}
DATA = DataIdentity(identity(b"a", b"b"), identity(b"c"), identify_split(PARTS))


def load_folders(root: Path, cache: Path | None = None, **form: object) -> Splits:
    names = [f"imagefolder:{root / role}" for role in ("source", "target")]
    spec = data_spec(*names, **form)
    if cache is not None:
        spec = spec.model_copy(update={"cache": str(cache)})
    return load_splits(spec, seed=0)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two domains of two classes of ten images."""
    root = tmp_path / "data"
    for role in ("source", "target"):
        write_folder(root / role, {"cat": 10, "dog": 10})
    return root


def test_an_identity_survives_a_round_trip() -> None:
    assert parse_identity(DATA.to_json()) == DATA
    assert parse_identity(DATA.to_json().encode()).digest == DATA.digest


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"source": 1}', "null"])
def test_other_text_is_no_identity(text: str) -> None:
    with pytest.raises(ValueError, match=r"identity of data|Expecting value"):
        parse_identity(text)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (replace(DATA, source=identity(b"a", b"x")), "the images of the source"),
        (
            replace(DATA, source=identity(b"b", b"a")),
            "the order of the images of the source (the order of their names)",
        ),
        (
            replace(DATA, target=identify_domain([b"c"], np.array([1]), ["a"], {})),
            "the labels or class names of the target",
        ),
        (
            replace(DATA, target=identify_domain([b"c"], np.array([0]), ["b"], {})),
            "the labels or class names of the target",
        ),
        (
            replace(DATA, target=identify_domain([b"c"], np.array([0]), ["a"], {"size": 16})),
            "the settings of the target",
        ),
        (replace(DATA, split=identify_split({"train": np.arange(3)})), "the split into parts"),
    ],
)
def test_a_difference_is_named(changed: DataIdentity, difference: str) -> None:
    assert DATA.differences(changed) == [difference]
    assert changed.digest != DATA.digest


def test_equal_identities_have_no_differences() -> None:
    assert DATA.differences(parse_identity(DATA.to_json())) == []


def test_the_digest_of_an_image_depends_on_its_values_shape_and_type() -> None:
    array = np.arange(8, dtype=np.uint8).reshape(1, 2, 4)
    others = [array + 1, array.reshape(1, 4, 2), array.view(np.int8)]
    digests = [array_digests(other)[0] for other in (array, *others)]
    assert len(set(digests)) == 4
    assert array_digests(array.copy()) == digests[:1]
    assert image_digest(b"x") == hashlib.sha256(b"x").digest()


def test_data_that_is_mounted_elsewhere_is_the_same_data(folders: Path, tmp_path: Path) -> None:
    first = load_folders(folders, size=16, limit=12)
    shutil.copytree(folders, tmp_path / "elsewhere" / "mounted")
    again = load_folders(tmp_path / "elsewhere" / "mounted", size=16, limit=12)
    assert again.identity == first.identity
    assert again.digest() == first.digest()
    assert again.pixel_digest() == first.pixel_digest()


def test_the_decoder_is_no_part_of_the_identity(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = image_files.decode

    def rounds_differently(encoded: bytes, name: str, decoding: Decoding) -> Pixels:
        pixels: Pixels = decode(encoded, name, decoding) + np.uint8(1)
        return pixels

    first = load_folders(folders, size=16)
    monkeypatch.setattr(image_files, "decode", rounds_differently)
    again = load_folders(folders, size=16, cache=folders / "other-cache")
    assert again.digest() == first.digest()
    assert again.pixel_digest() != first.pixel_digest()


def test_a_changed_file_a_moved_label_and_a_renamed_file_are_other_data(folders: Path) -> None:
    first = load_folders(folders, size=16).identity
    file = folders / "target" / "cat" / "3.png"
    content = file.read_bytes()
    file.write_bytes(png(200))
    assert first.differences(load_folders(folders, size=16).identity) == [
        "the images of the target"
    ]
    file.write_bytes(content)
    file.rename(file.with_name("33.png"))  # still between 3 and 4
    assert load_folders(folders, size=16).identity == first
    file.with_name("33.png").rename(file.with_name("99.png"))
    [difference] = first.differences(load_folders(folders, size=16).identity)
    assert difference.startswith("the order of the images of the target")


def digests(images: ImageSet) -> set[bytes]:
    return {row.tobytes() for row in images.pixel_digests()}


def test_images_beyond_the_limit_do_not_matter_unless_they_change_the_choice(
    folders: Path,
) -> None:
    first = load_folders(folders, size=16, limit=12)
    second = load_folders(folders, size=16)
    used = digests(first.trial.source_train_images)
    assert used < digests(second.trial.source_train_images) | digests(
        second.trial.source_val_images
    )
    (folders / "source" / "cat" / "99.png").write_bytes(png(201))
    changed = load_folders(folders, size=16, limit=12)
    assert "the images of the source" in first.identity.differences(changed.identity)


def test_the_files_that_hold_the_rows_are_no_part_of_the_identity(tmp_path: Path) -> None:
    rows = [png(value) for value in range(4)]
    labels = ["a", "b", "a", "b"]
    write_table(tmp_path / "one" / "all.parquet", list(rows), list(labels))
    write_table(tmp_path / "two" / "a.parquet", list(rows[:3]), list(labels[:3]))
    write_table(tmp_path / "two" / "b.parquet", list(rows[3:]), list(labels[3:]))
    first = load(f"parquet:{tmp_path / 'one' / 'all.parquet'}")
    second = load(f"parquet:{tmp_path / 'two'}")
    assert first.identity == second.identity


@pytest.mark.parametrize("form", [{"size": 16}, {"crop": 12}, {"channels": 1}, {"limit": 5}])
def test_the_form_of_the_images_is_part_of_the_identity(
    form: dict[str, int], tmp_path: Path
) -> None:
    name = write_folder(tmp_path, {"cat": 10})
    assert load(name, **form).identity.settings != load(name).identity.settings


def test_blended_digits_are_identified_by_what_they_are_made_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sklearn import datasets

    first = load("mnistm5k", limit=50, size=16)
    read = datasets.load_sample_images

    def decoded_differently() -> object:
        samples = read()
        samples.images = [image // 2 * 2 for image in samples.images]
        return samples

    monkeypatch.setattr(datasets, "load_sample_images", decoded_differently)
    again = load("mnistm5k", limit=50, size=16)
    assert again.identity == first.identity
    assert not np.array_equal(again.images, first.images)
    assert load("mnistm5k", limit=50, size=16, seed=1).identity.images != first.identity.images
