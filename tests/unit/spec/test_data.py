from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from adaptune.spec.data import ColumnsSpec, DataSpec, DomainSpec

DOMAINS = {"source": {"domain": "a"}, "target": {"domain": "b"}}


@pytest.mark.parametrize("size", [16, 32, 48, 96, 160, 224, 320, 512])
def test_multiples_of_four_are_sizes(size: int) -> None:
    assert DomainSpec(domain="a", size=size).size == size


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (50, "size must be a multiple of 4 from 16 to 512, not 50: take 48 or 52"),
        (511, "not 511: take 508 or 512"),
        (8, "greater than or equal to 16"),
        (516, "less than or equal to 512"),
    ],
)
def test_other_sizes_are_refused(size: int, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DomainSpec(domain="a", size=size)


@pytest.mark.parametrize("change", [{"size": 64}, {"channels": 1}])
def test_domains_must_agree_in_size_and_channels(change: dict[str, int]) -> None:
    tree = DOMAINS | {"target": {"domain": "b", **change}}
    with pytest.raises(ValidationError, match="source and target must agree in size and channels"):
        DataSpec.model_validate(tree)


@pytest.mark.parametrize("channels", [0, 65])
def test_channels_are_from_1_to_64(channels: int) -> None:
    with pytest.raises(ValidationError, match="channels"):
        DomainSpec(domain="a", channels=channels)
    assert DomainSpec(domain="a", channels=64).channels == 64


@pytest.mark.parametrize(
    ("colour", "rgb"),
    [("white", (255, 255, 255)), ("black", (0, 0, 0)), ("#0a80Ff", (10, 128, 255))],
)
def test_a_background_is_a_name_or_a_number(colour: str, rgb: tuple[int, int, int]) -> None:
    assert DomainSpec(domain="a", background=colour).background_rgb == rgb


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "0a80ff"])
def test_other_backgrounds_are_refused(colour: str) -> None:
    with pytest.raises(ValidationError, match="background"):
        DomainSpec(domain="a", background=colour)


def test_a_value_range_is_one_pair_or_one_per_channel() -> None:
    one = DomainSpec.model_validate({"domain": "a", "value_range": [0, 4095]})
    assert one.intervals == ((0, 4095),)
    pairs = [[0, 4095], [100, 200]]
    two = DomainSpec.model_validate({"domain": "a", "channels": 2, "value_range": pairs})
    assert two.intervals == ((0, 4095), (100, 200))
    assert DomainSpec(domain="a").intervals is None


@pytest.mark.parametrize(
    ("value_range", "message"),
    [
        ([5, 5], r"low must be from 0 and below high, not \[5, 5\]"),
        ([-1, 5], "low must be from 0"),
        ([[0, 1], [0, 2]], r"value_range has 2 pairs for 3 channel\(s\)"),
        ([1, 2, 3], "value_range"),
        ([], "value_range"),
    ],
)
def test_other_value_ranges_are_refused(value_range: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DomainSpec.model_validate({"domain": "a", "value_range": value_range})


def test_new_keys_at_their_defaults_are_no_part_of_the_form() -> None:
    form = {"domain": "parquet", "crop": None, "size": 32, "channels": 3, "limit": None}
    assert DomainSpec(domain="parquet:/a").form() == form
    columns = ColumnsSpec(image="img")
    assert DomainSpec(domain="parquet:/a", columns=columns).form() == form
    changed = DomainSpec(domain="parquet:/a", background="black", value_range=(0, 9)).form()
    assert changed == form | {"background": "black", "value_range": [0, 9]}


def test_the_splits_of_the_target_must_leave_room_for_training() -> None:
    fractions = {"target_val_fraction": 0.5, "target_test_fraction": 0.5}
    with pytest.raises(ValidationError, match="must leave room for training"):
        DataSpec.model_validate(DOMAINS | fractions)
    fractions["target_test_fraction"] = 0.49
    assert DataSpec.model_validate(DOMAINS | fractions).target_test_fraction == 0.49


def test_relative_paths_become_absolute_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree = {
        "source": {"domain": "imagefolder:a/../b:c", "crop": 20},
        "target": {"domain": "parquet:/t/x"},
        "root": "cache",
    }
    resolved = DataSpec.model_validate(tree).resolved()
    assert resolved.source == DomainSpec(domain=f"imagefolder:{tmp_path}/a/../b:c", crop=20)
    assert resolved.target.domain == "parquet:/t/x"
    assert resolved.root == f"{tmp_path}/cache"
    assert resolved.resolved() == resolved


def test_the_test_of_a_target_has_the_form_of_the_target_without_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = {"domain": "imagefolder:a", "crop": 20, "limit": 5, "test": "imagefolder:b"}
    resolved = DataSpec.model_validate(DOMAINS | {"target": target}).resolved().target
    test = DomainSpec(domain=f"imagefolder:{tmp_path}/b", crop=20)
    assert resolved.test_domain() == test
    assert resolved.form() == test.form() | {"limit": 5}
    assert DataSpec.model_validate(DOMAINS).target.test_domain() is None


def test_a_split_is_no_path() -> None:
    tree = {"source": {"domain": "usps:test"}, "target": {"domain": "mnist", "test": "mnist:test"}}
    spec = DataSpec.model_validate(tree)
    assert spec.resolved() == spec
    assert (spec.source.kind, spec.target.kind) == ("usps:test", "mnist")


def test_a_named_test_leaves_all_other_samples_for_training_and_validation() -> None:
    fractions = {"target_val_fraction": 0.5, "target_test_fraction": 0.5}
    target = {"domain": "b", "test": "c"}
    spec = DataSpec.model_validate(DOMAINS | fractions | {"target": target})
    assert spec.target_val_fraction == 0.5


def test_data_without_a_path_and_paths_of_a_home_folder_stay_as_they_are() -> None:
    tree = {"source": {"domain": "mnist5k"}, "target": {"domain": "imagefolder:~/t"}}
    spec = DataSpec.model_validate(tree)
    assert spec.resolved() == spec
    assert spec.source.kind == "mnist5k"
    assert spec.target.kind == "imagefolder"
