from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.domains import data_spec, png, write_folder, write_table

from adaptune.data.domain import FIRST_HALF, SECOND_HALF, Domain, LoadRequest, RawDomain
from adaptune.data.domain_pair import load_pair
from adaptune.data.registry import DOMAINS, DomainEntry
from adaptune.errors import DataError


def pair(source: str, target: str) -> tuple[Domain, Domain]:
    return load_pair(data_spec(source, target, size=16), seed=0)


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


def test_classes_that_differ_are_shown_side_by_side(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "s", {"cat": 1, "dog": 1})
    target = write_folder(tmp_path / "t", {"cat": 1, "fox": 1})
    with pytest.raises(DataError, match=r"(?s)same classes.*cat, dog.*cat, fox"):
        pair(source, target)


def test_the_same_classes_in_another_order_are_brought_to_the_sources(tmp_path: Path) -> None:
    source_name = write_folder(tmp_path / "s", {"2": 1, "10": 1})
    target_name = write_table(tmp_path / "t.parquet", [png(0)] * 3, [2, 10, None])
    source, target = pair(source_name, target_name)
    assert source.class_names == target.class_names == ("10", "2")
    assert target.labels.tolist() == [1, 0, -1]


def test_a_target_without_any_label_takes_the_sources_class_names(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "s", {"cat": 1})
    _, target = pair(source, write_table(tmp_path / "t.parquet", [png(0)], [None]))
    assert target.class_names == ("cat",)
    assert np.array_equal(target.labels, [-1])


def test_an_unlabelled_sample_in_the_source_is_refused(tmp_path: Path) -> None:
    source = write_table(tmp_path / "a.parquet", [png(0)] * 3, [1, None, None])
    target = write_table(tmp_path / "b.parquet", [png(0)], [1])
    with pytest.raises(DataError, match="2 of 3 samples have no label"):
        pair(source, target)
