from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from adaptune.spec.data import DataSpec, DomainSpec

DOMAINS = {"source": {"domain": "a"}, "target": {"domain": "b"}}


@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
def test_powers_of_two_are_sizes(size: int) -> None:
    assert DomainSpec(domain="a", size=size).size == size


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (48, "size must be a power of two from 16 to 256, not 48"),
        (8, "greater than or equal to 16"),
        (512, "less than or equal to 256"),
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


def test_data_without_a_path_and_paths_of_a_home_folder_stay_as_they_are() -> None:
    tree = {"source": {"domain": "mnist5k"}, "target": {"domain": "imagefolder:~/t"}}
    spec = DataSpec.model_validate(tree)
    assert spec.resolved() == spec
    assert spec.source.kind == "mnist5k"
    assert spec.target.kind == "imagefolder"
