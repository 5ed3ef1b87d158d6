"""A traced program takes any number of images of any size, and tells nothing about this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support.calibrations import make_calibration
from support.random_export import random_export

from adaptune.artifacts.portable import portable_networks, sample_batches, trace
from adaptune.artifacts.preprocess import to_uint8
from adaptune.training.temperature import TargetCalibration

NOISE = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)


def test_a_classifier_gives_the_probabilities_of_f_t() -> None:
    export = random_export(crop=40)
    network = portable_networks(export)[0]
    pixels = np.random.default_rng(1).integers(0, 256, (2, 50, 61, 3), dtype=np.uint8)
    expected = export.classifier(export.transform(pixels, "target")).softmax(dim=1)
    torch.testing.assert_close(network.module(torch.from_numpy(pixels)), (expected,))


def test_a_calibrated_classifier_also_gives_calibrated_probabilities() -> None:
    calibration = make_calibration(temperature=3.0)
    export = random_export()
    config = export.config.model_copy(update={"calibration": calibration})
    network = portable_networks(replace(export, config=config))[0]
    pixels = np.random.default_rng(1).integers(0, 256, (2, 50, 61, 3), dtype=np.uint8)
    logits = export.classifier(export.transform(pixels, "target"))
    expected = logits.softmax(dim=1), (logits / 3).softmax(dim=1)
    torch.testing.assert_close(network.module(torch.from_numpy(pixels)), expected)
    assert network.output_names == ("probabilities", "calibrated_probabilities")
    stored = TargetCalibration.model_validate_json(network.metadata()["calibration"])
    assert stored == calibration


def test_generators_give_the_bytes_of_their_translations() -> None:
    export = random_export()
    pixels = np.random.default_rng(1).integers(0, 256, (2, 50, 61, 3), dtype=np.uint8)
    for network in portable_networks(export)[1:]:
        images = export.transform(pixels, network.role)
        expected = to_uint8(export.generators[network.name](images)).permute(0, 2, 3, 1)  # type: ignore[index]
        assert torch.equal(network.module(torch.from_numpy(pixels))[0], expected)


@pytest.mark.parametrize("settings", [{}, {"crop": 20}, {"crop": 40, "channels": 1}])
def test_a_program_takes_other_numbers_and_sizes_than_it_was_traced_with(
    settings: dict[str, Any],
) -> None:
    network = portable_networks(random_export(**settings))[0]
    run = trace(network).module()
    for shape in ((1, 40, 40, 3), (7, 97, 41, 3), (2, 300, 50, 3)):
        images = torch.randint(0, 256, shape, dtype=torch.uint8)
        torch.testing.assert_close(run(images), network.module(images))


def test_a_program_has_no_paths_of_the_code_that_it_was_traced_from() -> None:
    program = trace(portable_networks(random_export())[0])
    assert not [node for node in program.graph.nodes if "stack_trace" in node.meta]


@pytest.mark.parametrize(
    ("settings", "kind", "top"),
    [
        ({}, "uint8 (N, H, W, 3), RGB", 255),
        ({"channels": 1}, "uint8 (N, H, W, 3), RGB", 255),
        ({"channels": 5}, "uint8 (N, H, W, 5), 5 channels", 255),
        ({"value_range": [0, 4095]}, "uint16 (N, H, W, 3), RGB", 4095),
    ],
)
def test_the_metadata_describe_the_input(settings: dict[str, Any], kind: str, top: int) -> None:
    network = portable_networks(random_export(**settings))[0]
    metadata = network.metadata()
    assert metadata["input"] == f"images: {kind}"
    assert metadata["outputs"] == "probabilities: float32 (N, 3)"
    assert metadata["class_names"] == '["cat","dog","owl"]'
    assert network.top == top


def test_the_metadata_describe_the_output_of_a_generator() -> None:
    network = portable_networks(random_export(channels=1))[1]
    assert network.metadata()["outputs"] == "translations: uint8 (N, 32, 32, 1)"


def test_samples_have_batches_of_one_and_seven_in_two_sizes_that_fit_the_crop() -> None:
    network = portable_networks(random_export(crop=40))[0]
    batches = sample_batches(network, NOISE)
    assert [batch.shape[0] for batch in batches] == [1, 7, 1, 7]
    assert {batch.shape[1:] for batch in batches} == {(40, 40, 3), (61, 83, 3)}
    assert batches[0].dtype == np.uint8


def test_samples_fill_the_value_range() -> None:
    network = portable_networks(random_export(value_range=[0, 4095]))[0]
    batch = sample_batches(network, NOISE)[1]
    assert batch.dtype == np.uint16
    assert batch.max() > 4000
