from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_trial import make_spec, with_classifier

from adaptune.spec.schema import TrialSpec
from adaptune.training.identity import trial_identity, weights_digest


def identity(spec: TrialSpec, data: str = "data", source_classifier: str = "f_S") -> str:
    return trial_identity(spec, data, source_classifier)


def with_data(spec: TrialSpec, **data: Any) -> TrialSpec:
    return spec.model_copy(update={"data": spec.data.model_copy(update=data)})


def test_the_same_trial_has_the_same_identity() -> None:
    assert identity(make_spec()) == identity(make_spec())
    assert len(identity(make_spec())) == 64


@pytest.mark.parametrize(
    "other",
    [
        identity(make_spec(loss_weights={"cycle": 25.0})),
        identity(make_spec(batch_size=8)),
        identity(make_spec(size=32)),
        identity(make_spec(generator="resnet")),
        identity(make_spec().model_copy(update={"seed": 1})),
        identity(with_data(make_spec(), source_val_fraction=0.25)),
        identity(make_spec(), data="other"),
        identity(make_spec(), source_classifier="other"),
    ],
)
def test_all_that_changes_the_numbers_changes_the_identity(other: str) -> None:
    assert other != identity(make_spec())


def test_the_place_of_the_data_does_not_matter() -> None:
    spec = make_spec()
    elsewhere = spec.data.source.model_copy(update={"domain": "imagefolder:/mnt/noise"})
    moved = with_data(spec, root="/mnt/data", source=elsewhere, target=elsewhere)
    assert identity(moved) == identity(spec)


def test_the_place_of_the_pretrained_weights_does_not_matter() -> None:
    backbone = "torchvision:resnet18"
    first = with_classifier(make_spec(size=32), backbone, weights="/a.pth")
    moved = with_classifier(
        make_spec(size=32), backbone, weights="/mnt/b.pth", weights_sha256="0" * 64
    )
    assert identity(first) == identity(moved)
    assert identity(with_classifier(make_spec(size=32), backbone, bottleneck=8)) != identity(first)


def test_a_key_at_its_default_does_not_matter() -> None:
    # A later version of adaptune may add one.
    spec = make_spec()
    default = type(spec.training).model_fields["beta1"].default
    assert identity(make_spec(beta1=default)) == identity(spec)


def test_the_digest_of_weights_depends_on_names_types_shapes_and_values() -> None:
    weights = {"a": torch.zeros(2, 3), "b": torch.tensor(1)}
    digests = {
        weights_digest(weights),
        weights_digest({"a": torch.zeros(3, 2), "b": torch.tensor(1)}),
        weights_digest({"a": torch.zeros(2, 3), "c": torch.tensor(1)}),
        weights_digest({"a": torch.zeros(2, 3), "b": torch.tensor(2)}),
        weights_digest({"a": torch.zeros(2, 3, dtype=torch.float64), "b": torch.tensor(1)}),
    }
    assert len(digests) == 5
    swapped = {"b": weights["b"], "a": weights["a"]}
    assert weights_digest(swapped) == weights_digest(weights)
