"""The schema of config.json, and the files of an export."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from adaptune.artifacts.format import (
    CHECKSUMS_FILE,
    CLASSIFIER,
    DIRECTIONS,
    EXPORT_FILES,
    MODEL_CARD_FILE,
    NETWORKS,
    PORTABLE_FILES,
    SERVE_FILE,
    VERIFIED_FILES,
    Direction,
    ExportConfig,
    weights_file,
)

CONFIG = {
    "format": 2,
    "adaptune": "0.1.0",
    "method": "cycada",
    "class_names": ["cat", "dog"],
    "data": {"source": {"domain": "optdigits"}, "target": {"domain": "mnistm5k", "crop": 20}},
    "model": {},
    "loss_weights": {"cycle": 2.5},
    "training": {},
    "seed": 3,
}


def test_each_direction_has_a_network() -> None:
    assert get_args(Direction) == DIRECTIONS
    assert set(NETWORKS) == {CLASSIFIER, *DIRECTIONS}


def test_weights_are_safetensors() -> None:
    assert weights_file("classifier") == "classifier.safetensors"


def test_all_files_are_verified_but_those_that_users_edit_and_the_checksums_themselves() -> None:
    unverified = set(EXPORT_FILES) - set(VERIFIED_FILES) - set(PORTABLE_FILES)
    assert unverified == {MODEL_CARD_FILE, SERVE_FILE, CHECKSUMS_FILE}
    assert set(map(weights_file, NETWORKS)) < set(VERIFIED_FILES)


def test_a_config_survives_json() -> None:
    config = ExportConfig.model_validate(CONFIG)
    assert config.data.target.crop == 20
    assert config.loss_weights.cycle == 2.5
    assert ExportConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("key", sorted(CONFIG))
def test_every_key_of_a_config_is_required(key: str) -> None:
    incomplete = {name: value for name, value in CONFIG.items() if name != key}
    with pytest.raises(ValidationError, match=f"{key}\n  Field required"):
        ExportConfig.model_validate(incomplete)


def test_an_unknown_key_of_a_config_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        ExportConfig.model_validate(CONFIG | {"pickle": "weights.pt"})
