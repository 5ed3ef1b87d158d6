from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.domains import data_spec, write_folder, write_list
from support.textured_images import write_near_copy, write_textured_domain

from adaptune.data.inspected_pair import PARTS, InspectedPair, inspect_pair
from adaptune.data.splits import load_splits
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec


@pytest.fixture
def spec(tmp_path: Path) -> DataSpec:
    domains = {}
    for seed, role in enumerate(("source", "target")):
        folder = write_textured_domain(tmp_path / role, 30, seed)
        domains[role] = {"domain": f"imagefolder:{folder}", "size": 32}
    return DataSpec.model_validate(domains)


def folder_of(spec: DataSpec, role: str) -> Path:
    domain = spec.source if role == "source" else spec.target
    return Path(domain.domain.partition(":")[2])


def names_of_test(pair: InspectedPair) -> list[str]:
    indices = (pair.parts == "target_test").nonzero()[0]
    return [pair.image_name(int(index)) for index in indices]


def test_the_parts_are_those_of_a_search(spec: DataSpec) -> None:
    pair = inspect_pair(spec, seed=3)
    splits = load_splits(spec, seed=3)
    for part in PARTS:
        start = 0 if part.startswith("source") else len(pair.source)
        indices = (pair.parts == part).nonzero()[0] - start
        assert indices.tolist() == splits.indices[part].tolist()
    assert pair.count("target_test", "bar") == 6
    assert pair.count("target_test", None) == 0
    assert pair.refusals == ()
    assert pair.copies == []
    assert pair.identity == splits.identity


def test_labelled_images_for_training_are_part_of_the_identity(spec: DataSpec) -> None:
    target = spec.target.model_copy(update={"train_labels": 2})
    spec = spec.model_copy(update={"target": target})
    assert inspect_pair(spec, seed=3).identity == load_splits(spec, seed=3).identity


def test_planted_copies_of_test_images_are_named(spec: DataSpec) -> None:
    source, target = folder_of(spec, "source"), folder_of(spec, "target")
    exact, near, *_ = names_of_test(inspect_pair(spec, seed=0))
    shutil.copy(target / exact, source / "bar" / "004.jpg")
    write_near_copy(target / near, source / "circle" / "009.jpg")
    pair = inspect_pair(spec, seed=0)
    leaks = {}
    for copy in pair.leaks:
        leaks[pair.image_name(copy.first)] = (pair.image_name(copy.second), copy.similarity)
    assert leaks[exact] == ("bar/004.jpg", None)
    name, similarity = leaks[near]
    assert name == "circle/009.jpg"
    assert similarity == pytest.approx(0.98, abs=0.02)
    assert len(leaks) == 2


def test_unreadable_images_of_both_domains_are_refusals(spec: DataSpec) -> None:
    (folder_of(spec, "source") / "bar" / "000.jpg").write_bytes(b"text")
    (folder_of(spec, "target") / "bar" / "001.jpg").write_bytes(b"text")
    pair = inspect_pair(spec, seed=0)
    assert pair.refusals == (
        "1 image(s) of the source cannot be read: repair or delete them",
        "1 image(s) of the target cannot be read: repair or delete them",
    )
    assert len(pair.source) == len(pair.target) == 89
    assert pair.identity is None  # a search would not begin


def test_classes_that_differ_are_listed_with_near_matches(spec: DataSpec) -> None:
    target = folder_of(spec, "target")
    (target / "circle").rename(target / "circles")
    pair = inspect_pair(spec, seed=0)
    (refusal,) = pair.refusals
    assert refusal.startswith("source and target must have the same classes; 2 are in both:")
    assert "perhaps the same: circle (source) and circles (target)" in refusal
    assert refusal.endswith("set data.classes: intersection.")
    assert pair.class_names == ("bar", "circle", "square", "circles")
    assert pair.count("target_train", "circle") == 0
    assert pair.count("target_train", "circles") == 18


def test_the_parts_of_common_classes_are_those_of_a_search(spec: DataSpec) -> None:
    (folder_of(spec, "target") / "circle").rename(folder_of(spec, "target") / "ring")
    limited = spec.target.model_copy(update={"limit": 40})
    spec = spec.model_copy(update={"classes": "intersection", "target": limited})
    pair = inspect_pair(spec, seed=3)
    splits = load_splits(spec, seed=3)
    target_test = (pair.parts == "target_test").nonzero()[0] - len(pair.source)
    assert target_test.tolist() == splits.indices["target_test"].tolist()
    assert pair.class_names == splits.trial.class_names == ("bar", "square")
    assert pair.identity == splits.identity
    assert (len(pair.source), len(pair.target)) == (60, 40)
    assert pair.refusals == ()
    source_note, target_note = pair.notes
    assert "30 sample(s) of 1 class(es) that the domains do not share are not used" in source_note
    assert target_note.endswith("are not used: ring")


def test_a_target_that_lacks_a_class_has_a_note(spec: DataSpec) -> None:
    shutil.rmtree(folder_of(spec, "target") / "circle")
    pair = inspect_pair(spec.model_copy(update={"classes": "target_subset"}), seed=0)
    assert pair.refusals == ()
    (note,) = pair.notes
    assert "lacks 1 of 3 classes: circle" in note
    assert pair.count("target_test", "circle") == 0
    assert pair.count("source_train", "circle") == 27


def test_a_source_with_unlabelled_images_is_one_part(tmp_path: Path) -> None:
    source = write_list(tmp_path / "source", "a.png 0\nb.png -1\n", "a.png", "b.png")
    target = write_folder(tmp_path / "target", {"0": 4, "1": 4})
    pair = inspect_pair(data_spec(source, target, size=16), seed=0)
    (refusal,) = pair.refusals
    assert "1 of 2 samples have no label" in refusal
    assert pair.parts.tolist()[:2] == ["source"] * 2


def test_a_file_that_is_in_both_domains_is_a_refusal_and_a_leak(tmp_path: Path) -> None:
    files = [f"{number}.png" for number in range(20)]
    lines = "".join(f"{name} {number % 2}\n" for number, name in enumerate(files))
    source = write_list(tmp_path, lines, *files, name="source.txt")
    target = write_list(tmp_path, lines, *files, name="target.txt")
    pair = inspect_pair(data_spec(source, target, size=16), seed=0)
    (refusal,) = pair.refusals
    assert refusal.startswith("20 image(s) are in both ")
    assert len(pair.leaks) == 4


def test_a_domain_that_cannot_be_split_is_one_part(spec: DataSpec) -> None:
    target = folder_of(spec, "target")
    for file in sorted((target / "bar").iterdir())[1:]:
        file.unlink()
    pair = inspect_pair(spec, seed=0)
    (refusal,) = pair.refusals
    assert "class 'bar' has 1 labelled samples but needs 3" in refusal
    assert set(pair.parts) == {"source_train", "source_val", "target"}
    assert pair.leaks == []


def test_a_domain_without_a_readable_image_is_refused(spec: DataSpec) -> None:
    for file in folder_of(spec, "target").rglob("*.jpg"):
        file.write_bytes(b"text")
    with pytest.raises(DataError, match=r"domain .*target: no image can be read: .*000\.jpg"):
        inspect_pair(spec, seed=0)
