from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.domains import (
    PixelDomain,
    data_spec,
    png,
    touch,
    with_pixels,
    write_folder,
    write_list,
    write_table,
)

from adaptune.data.domain import FIRST_HALF, SECOND_HALF, LoadRequest, RawDomain
from adaptune.data.domain_pair import open_pair
from adaptune.data.registry import DOMAINS, DomainEntry
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec


def pair(source: str, target: str) -> tuple[PixelDomain, PixelDomain]:
    return load_pair(data_spec(source, target, size=16))


def load_pair(spec: DataSpec) -> tuple[PixelDomain, PixelDomain]:
    source, target = open_pair(spec, seed=0).decode()
    return with_pixels(source), with_pixels(target)


def record_halves(names: set[str], monkeypatch: pytest.MonkeyPatch) -> list[slice]:
    """Return a list of the halves that the loaders of `names` will be asked for."""
    halves: list[slice] = []

    def recording(entry: DomainEntry) -> DomainEntry:
        def load(request: LoadRequest) -> RawDomain:
            halves.append(request.half)
            return entry.loader(request)

        return replace(entry, loader=load)

    for name in names:
        monkeypatch.setitem(DOMAINS, name, recording(DOMAINS[name]))
    return halves


@pytest.mark.parametrize(
    "names", [("mnist5k", "mnistm5k"), ("mnistm5k", "mnist5k"), ("mnist5k", "mnist5k")]
)
def test_domains_made_of_the_same_digits_take_one_half_each(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = record_halves(set(names), monkeypatch)
    source, target = pair(*names)
    assert halves == [FIRST_HALF, SECOND_HALF]
    assert len(source.labels) == len(target.labels) == 2500


def test_mnist5k_is_whole_with_another_domain() -> None:
    source, target = pair("mnist5k", "optdigits")
    assert (len(source.labels), len(target.labels)) == (5000, 1797)


@pytest.mark.parametrize(
    "names", [("mnist", "mnistm5k"), ("mnistm5k", "mnist"), ("mnist5k", "mnist")]
)
def test_mnist_with_its_own_excerpt_is_refused(names: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="take mnist5k in place of mnist, then each side"):
        pair(*names)


def test_shared_samples_that_nothing_can_halve_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usps = DOMAINS["usps"]
    for name in ("usps", "usps_again"):
        monkeypatch.setitem(DOMAINS, name, replace(usps, digits_of="usps"))
    with pytest.raises(DataError, match="take another domain in place of usps"):
        pair("usps", "usps_again")


def test_unknown_names_are_refused_on_both_sides() -> None:
    for names in (("optdigit", "mnist5k"), ("mnist5k", "optdigit")):
        with pytest.raises(DataError, match="Did you mean 'optdigits'"):
            pair(*names)


def test_one_domain_cannot_be_both_source_and_target(tmp_path: Path) -> None:
    name = write_folder(tmp_path / "a", {"cat": 1})
    for other in (name, f"imagefolder:{tmp_path}/./b/../a"):
        with pytest.raises(
            DataError, match="target_test would be seen, with their labels, in training"
        ):
            pair(name, other)
    with pytest.raises(DataError, match="source and target are both optdigits"):
        pair("optdigits", "optdigits")


def test_the_same_classes_in_another_order_are_brought_to_the_sources(tmp_path: Path) -> None:
    source_name = write_folder(tmp_path / "s", {"2": 1, "10": 1})
    target_name = write_table(tmp_path / "t.parquet", [png(0)] * 3, [2, 10, None])
    source, target = pair(source_name, target_name)
    assert source.class_names == target.class_names == ("10", "2")
    assert target.labels.tolist() == [1, 0, -1]


def test_a_target_without_any_label_takes_the_sources_class_names(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "s", {"cat": 1, "dog": 1})
    _, target = pair(source, write_table(tmp_path / "t.parquet", [png(0)], [None]))
    assert target.class_names == ("cat", "dog")
    assert np.array_equal(target.labels, [-1])


def test_an_unlabelled_sample_in_the_source_is_refused(tmp_path: Path) -> None:
    source = write_table(tmp_path / "a.parquet", [png(0)] * 3, [1, None, None])
    target = write_table(tmp_path / "b.parquet", [png(0)], [1])
    with pytest.raises(DataError, match="2 of 3 samples have no label"):
        pair(source, target)


def test_classes_are_compared_before_an_image_is_decoded(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "s", {"cat": 1, "dog": 1})
    target = write_folder(tmp_path / "t", {"cat": 1, "fox": 1})
    (tmp_path / "s" / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="only in the source: dog"):
        pair(source, target)


def test_intersection_uses_the_common_classes_of_both(tmp_path: Path) -> None:
    source_name = write_folder(tmp_path / "s", {"ant": 2, "bee": 3, "cow": 4})
    labels: list[object] = ["dog", "cow", "bee", "cow", None]
    target_name = write_table(tmp_path / "t.parquet", [png(number) for number in range(5)], labels)
    spec = data_spec(source_name, target_name, size=16)
    spec = spec.model_copy(update={"classes": "intersection"})
    source, target = load_pair(spec)
    assert source.class_names == target.class_names == ("bee", "cow")
    assert source.labels.tolist() == [0] * 3 + [1] * 4
    assert source.images[:, 0, 0, 0].tolist() == [10, 11, 12, 20, 21, 22, 23]
    assert target.labels.tolist() == [1, 0, 1, -1]
    assert target.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    notes = open_pair(spec, seed=0).notes
    assert any("2 sample(s) of 1 class(es)" in note for note in notes)


def test_intersection_takes_the_limit_of_the_common_classes(tmp_path: Path) -> None:
    source_name = write_folder(tmp_path / "s", {"ant": 20, "bee": 4, "cow": 4})
    target_name = write_folder(tmp_path / "t", {"bee": 1, "cow": 1})
    spec = data_spec(source_name, target_name, size=16, limit=6)
    source, _ = load_pair(spec.model_copy(update={"classes": "intersection"}))
    assert np.bincount(source.labels).tolist() == [3, 3]


def test_a_target_that_lacks_a_class_keeps_the_sources_labels(tmp_path: Path) -> None:
    source_name = write_folder(tmp_path / "s", {"ant": 1, "bee": 1, "cow": 1})
    target_name = write_folder(tmp_path / "t", {"ant": 1, "cow": 2})
    spec = data_spec(source_name, target_name, size=16)
    _, target = load_pair(spec.model_copy(update={"classes": "target_subset"}))
    assert target.class_names == ("ant", "bee", "cow")
    assert target.labels.tolist() == [0, 2, 2]


def test_notes_of_the_loaders_are_kept(tmp_path: Path) -> None:
    source_name = write_folder(tmp_path / "s", {"ant": 1, "bee": 1})
    target_name = write_folder(tmp_path / "t", {"ant": 1, "bee": 1})
    for root in (tmp_path / "s", tmp_path / "t"):
        touch(root, "ant/1.xml")
    assert open_pair(data_spec(source_name, target_name, size=16), seed=0).notes == (
        f"{source_name}: 1 file (1 .xml) passed over",
        f"{target_name}: 1 file (1 .xml) passed over",
    )


def test_folder_names_in_another_unicode_form_are_the_same_class(tmp_path: Path) -> None:
    source_name = write_folder(tmp_path / "s", {"caf\u00e9": 1, "mug": 1})
    target_name = write_folder(tmp_path / "t", {"cafe\u0301": 1, "mug": 1})
    source, target = pair(source_name, target_name)
    assert source.class_names == target.class_names
    assert sorted(target.labels) == [0, 1]


def test_image_lists_that_share_an_image_are_refused(tmp_path: Path) -> None:
    source_name = write_list(tmp_path, "1.png 0\n2.png 1\n", "1.png", "2.png", name="s.txt")
    target_name = write_list(tmp_path, "./2.png 1\n3.png 0\n", "2.png", "3.png", name="t.txt")
    with pytest.raises(DataError, match=rf"1 image.s. are in both .* such as {tmp_path}/2\.png"):
        pair(source_name, target_name)


def test_two_halves_of_one_folder_by_image_lists_are_a_pair(tmp_path: Path) -> None:
    source_name = write_list(tmp_path, "1.png 0\n2.png 1\n", "1.png", "2.png", name="s.txt")
    target_name = write_list(tmp_path, "3.png 1\n4.png\n", "3.png", "4.png", name="t.txt")
    with pytest.raises(DataError, match=r"only in the source: 0"):
        pair(source_name, target_name)
    target_name = write_list(tmp_path, "3.png\n4.png\n", "3.png", "4.png", name="t.txt")
    _, target = pair(source_name, target_name)
    assert target.class_names == ("0", "1")
