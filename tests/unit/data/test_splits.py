from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from adaptune.data import splits as module
from adaptune.data.class_match import ClassMatch
from adaptune.data.domain import RawDomain
from adaptune.data.domain_pair import OpenPair
from adaptune.data.splits import Splits, TrialData, WithheldData, content_hash, load_splits
from adaptune.data.undecoded import UndecodedDomain
from adaptune.errors import DataError
from adaptune.spec.data import DataSpec, DomainSpec

DATA = {"source": {"domain": "mnist5k", "size": 16}, "target": {"domain": "optdigits", "size": 16}}


def made(labels: list[int], classes: int = 2) -> UndecodedDomain:
    """Return a domain in which the value of an image is its index."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None]
    raw = RawDomain(images, np.array(labels, dtype=np.int64), tuple("abcdefghij"[:classes]))
    form = DomainSpec.model_validate({"domain": "made", "size": 16})
    return UndecodedDomain(form, raw, np.arange(len(labels)), Path("unused"))


def split_made(
    source: UndecodedDomain,
    target: UndecodedDomain,
    monkeypatch: pytest.MonkeyPatch,
    **settings: float | str,
) -> Splits:
    pair = OpenPair(source, target, ClassMatch(source.raw.class_names))
    monkeypatch.setattr(module, "open_pair", lambda *_: pair)
    return load_splits(DataSpec.model_validate(DATA | settings), seed=0)


def test_parts_are_disjoint_cover_everything_and_keep_the_classes_shares() -> None:
    splits = load_splits(DataSpec.model_validate(DATA), seed=3)
    parts = splits.indices
    assert np.array_equal(
        np.sort(np.concatenate([parts["source_train"], parts["source_val"]])), np.arange(5000)
    )
    target = np.concatenate([parts["target_train"], parts["target_val"], parts["target_test"]])
    assert np.array_equal(np.sort(target), np.arange(1797))
    assert np.bincount(splits.trial.source_val_labels).tolist() == [50] * 10
    for labels in (splits.trial.target_val_labels, splits.withheld.target_test_labels):
        counts = np.bincount(labels)
        assert counts.min() >= 34
        assert counts.max() <= 37


def test_the_seed_decides_the_parts() -> None:
    spec = DataSpec.model_validate(DATA)
    first, again, other = load_splits(spec, 0), load_splits(spec, 0), load_splits(spec, 1)
    assert first.digest() == again.digest() != other.digest()
    assert not np.array_equal(first.indices["target_test"], other.indices["target_test"])


def test_images_and_labels_belong_to_their_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = made([0, 1] * 10)
    splits = split_made(domain, domain, monkeypatch)
    checked = 0
    for data in (splits.trial, splits.withheld):
        for part, indices in splits.indices.items():
            if hasattr(data, f"{part}_images"):
                images = getattr(data, f"{part}_images").pixels
                assert np.array_equal(images[:, 0, 0, 0], indices)
                checked += 1
            if hasattr(data, f"{part}_labels"):
                assert np.array_equal(getattr(data, f"{part}_labels"), domain.raw.labels[indices])
                checked += 1
    # A trial has class names as well, and no labelled target images.
    assert checked == len(fields(TrialData)) - 3 + len(fields(WithheldData))


def test_a_trial_has_no_label_of_target_train_and_nothing_of_target_test() -> None:
    assert "target_train_labels" not in {field.name for field in fields(TrialData)}
    assert not any("test" in field.name for field in fields(TrialData))
    assert {field.name for field in fields(WithheldData)} >= {
        "target_train_labels",
        "target_test_images",
    }


def test_unlabelled_target_samples_all_go_to_training(monkeypatch: pytest.MonkeyPatch) -> None:
    target = made([0, 0, 1, 1, -1, -1, -1])
    splits = split_made(made([0, 1] * 5), target, monkeypatch)
    assert splits.indices["target_train"].tolist() == [4, 5, 6]
    assert sorted(splits.trial.target_val_labels) == [0, 1]
    assert sorted(splits.withheld.target_test_labels) == [0, 1]


def test_a_target_without_labels_has_a_validation_part_and_no_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    splits = split_made(made([0, 1] * 5), made([-1] * 10), monkeypatch)
    assert not splits.trial.target_labelled
    assert len(splits.indices["target_train"]) == 8
    assert len(splits.indices["target_val"]) == 2
    assert len(splits.indices["target_test"]) == 0
    with pytest.raises(DataError, match=r"1 sample.s. are too few"):
        split_made(made([0, 1] * 5), made([-1]), monkeypatch)


@pytest.mark.parametrize(("labels", "has", "needs"), [([0] * 9 + [1] * 2, 2, 3), ([0] * 9, 0, 3)])
def test_a_class_with_too_few_samples_is_refused_with_the_arithmetic(
    labels: list[int], has: int, needs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = f"class 'b' has {has} labelled samples but needs {needs}: "
    message += "target_val 1 .*target_test 1 .*target_train"
    with pytest.raises(DataError, match=message):
        split_made(made([0, 1] * 5), made(labels), monkeypatch)


def test_a_target_may_lack_a_class_if_the_spec_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    source = made([0, 1, 2] * 5, classes=3)
    target = made([0, 2] * 5, classes=3)
    with pytest.raises(DataError, match="class 'b' has 0 labelled samples but needs 3"):
        split_made(source, target, monkeypatch)
    splits = split_made(source, target, monkeypatch, classes="target_subset")
    assert sorted(splits.trial.target_val_labels) == [0, 2]
    assert sorted(splits.withheld.target_test_labels) == [0, 2]
    assert splits.trial.class_names == ("a", "b", "c")
    too_few = made([0, 2] * 5 + [1, 1], classes=3)
    with pytest.raises(DataError, match="class 'b' has 2 labelled samples but needs 3"):
        split_made(source, too_few, monkeypatch, classes="target_subset")


def test_a_source_may_never_lack_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    source = made([0, 2] * 5, classes=3)
    with pytest.raises(DataError, match="source made: class 'b' has 0 labelled samples"):
        split_made(source, made([0, 2] * 5, classes=3), monkeypatch, classes="target_subset")


def test_fractions_that_leave_a_class_nothing_to_train_on_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DataError, match=r"needs 4: target_val 2 \(a fraction of 0.5"):
        split_made(
            made([0, 1] * 5),
            made([0, 1] * 3),
            monkeypatch,
            target_val_fraction=0.5,
            target_test_fraction=0.4,
        )


def test_a_source_class_of_one_sample_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match="source made: class 'b' has 1 labelled samples but needs 2"
    ):
        split_made(made([0, 0, 0, 1]), made([0, 1] * 5), monkeypatch)


def test_classes_of_three_give_one_sample_to_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = split_made(made([0, 1] * 5), made([0, 1] * 3), monkeypatch)
    assert [len(splits.indices[f"target_{part}"]) for part in ("train", "val", "test")] == [2, 2, 2]


def test_content_hash_depends_on_values_shape_and_type() -> None:
    array = np.arange(6, dtype=np.int64)
    different = [
        content_hash(array),
        content_hash(array + 1),
        content_hash(array.reshape(2, 3)),
        content_hash(array.astype(np.int32)),
        content_hash(array[:3], array[3:]),
    ]
    assert len(set(different)) == len(different)
    transposed = array.reshape(2, 3).T
    assert content_hash(transposed) == content_hash(np.ascontiguousarray(transposed))


def few_labels(count: int, **settings: object) -> DataSpec:
    target = DATA["target"] | {"train_labels": count}
    return DataSpec.model_validate(DATA | {"target": target} | settings)


def test_labelled_target_images_are_of_target_train_and_as_many_of_each_class() -> None:
    splits = load_splits(few_labels(5), seed=0)
    trial = splits.trial
    labelled = splits.indices["target_labelled"]
    assert set(labelled) <= set(splits.indices["target_train"])
    assert trial.labelled_target_labels is not None
    assert np.bincount(trial.labelled_target_labels).tolist() == [5] * 10
    assert trial.labelled_target_images is not None
    in_train = np.searchsorted(splits.indices["target_train"], labelled)
    images = trial.target_train_images.take(in_train)
    assert np.array_equal(trial.labelled_target_images.take(np.arange(50)), images)
    assert np.array_equal(
        splits.withheld.target_train_labels[in_train], trial.labelled_target_labels
    )


def test_labelled_target_images_change_no_other_part_and_are_part_of_the_identity() -> None:
    without = load_splits(DataSpec.model_validate(DATA), seed=0)
    splits = load_splits(few_labels(5), seed=0)
    for part, indices in without.indices.items():
        assert np.array_equal(splits.indices[part], indices)
    assert without.trial.labelled_target_images is None
    assert splits.digest() != without.digest()
    assert splits.digest() == load_splits(few_labels(5), seed=0).digest()


def test_more_labelled_target_images_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match=r"class '0' has \d+ labelled samples in target_train, but"):
        load_splits(few_labels(500), seed=0)
