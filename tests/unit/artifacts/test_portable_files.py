"""Portable files give the results of torch, for all networks that a spec can name."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch
from support.calibrations import make_calibration
from support.random_export import random_export

from adaptune.artifacts import portable_files as module
from adaptune.artifacts.format import NETWORKS, PORTABLE_FORMATS, PortableFormat
from adaptune.artifacts.load import Export
from adaptune.artifacts.portable import Array, portable_networks, sample_batches
from adaptune.artifacts.portable_files import portable_files, read_onnx, read_pt2
from adaptune.artifacts.preprocess import to_uint8
from adaptune.errors import ResultsError, SpecError
from adaptune.spec.model import SMALL_CLASSIFIERS, GeneratorSpec

READ = {"onnx": read_onnx, "pt2": read_pt2}
GENERATORS: list[dict[str, Any]] = [
    {"name": "resnet", "width": 4, "blocks": 2, "upsample": "resize_conv"},
    {"name": "resnet", "width": 4, "blocks": 1, "upsample": "transposed_conv"},
    {"name": "unshuffle", "width": 4, "blocks": 1, "factor": 2},
    {"name": "unshuffle", "width": 4, "blocks": 1, "factor": 4},
    {"name": "unshuffle", "width": 4, "blocks": 1, "factor": 8},
]
# Convolutions, attention, and what is between; others differ in width and depth.
BACKBONES = [
    ("torchvision:convnext_tiny", 32),
    ("torchvision:efficientnet_b0", 32),
    ("torchvision:resnet18", 32),
    ("torchvision:swin_t", 32),
    ("torchvision:vit_b_32", 32),
    ("timm:edgenext_xx_small", 32),
    ("timm:mobilenetv4_conv_small", 32),
    ("timm:resnet10t", 32),
    ("timm:tiny_vit_5m_224", 224),
]
NOISE = np.random.default_rng(0).integers(0, 256, (7, 3, 32, 32), dtype=np.uint8)


def results(export: Export, name: str, images: Array) -> Array:
    """Return what `predict` and `translate` compute for images of one size."""
    network = next(network for network in portable_networks(export) if network.name == name)
    prepared = export.transform(images, network.role)  # type: ignore[arg-type]
    with torch.no_grad():
        if name == "classifier":
            return export.classifier(prepared).softmax(dim=1).numpy()
        translated = to_uint8(export.generators[name](prepared))  # type: ignore[index]
    return translated.permute(0, 2, 3, 1).numpy()


def check(export: Export, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the files of some networks with torch, from bytes, for both formats."""
    networks = [network for network in portable_networks(export) if network.name in names]
    monkeypatch.setattr(module, "portable_networks", lambda _: networks)
    size, channels = networks[0].domain.size, networks[0].domain.channels
    shape = (7, channels, size, size)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    files, checks = portable_files(export, PORTABLE_FORMATS, {"source": noise, "target": noise})
    assert set(checks) == set(files) == {f"{n}.{kind}" for n in names for kind in PORTABLE_FORMATS}
    for network in networks:
        for kind in PORTABLE_FORMATS:
            run = READ[kind](files[f"{network.name}.{kind}"])
            for images in sample_batches(network, noise):
                expected = results(export, network.name, images)
                assert expected.std() > 0.01
                [output] = run(images)
                assert output.dtype == expected.dtype
                difference = np.abs(output.astype(float) - expected)
                assert difference.max() <= (1e-4 if network.name == "classifier" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("generator", GENERATORS, ids=str)
def test_files_of_generators(generator: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    check(random_export(generator=generator), ("source_to_target",), monkeypatch)


def test_all_generators_are_tested() -> None:
    fields = GeneratorSpec.model_fields
    for option in ("name", "upsample", "factor"):
        tested = {generator[option] for generator in GENERATORS if option in generator}
        assert tested == set(get_args(fields[option].annotation))


def test_files_of_all_networks_of_an_export(monkeypatch: pytest.MonkeyPatch) -> None:
    check(random_export(), tuple(NETWORKS), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("classifier", SMALL_CLASSIFIERS)
def test_files_of_small_classifiers(classifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(random_export(classifier), ("classifier",), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"crop": 20},
        {"channels": 1},
        {"channels": 1, "value_range": [0, 4095]},
        {"channels": 5, "crop": 40},
    ],
    ids=str,
)
def test_files_of_other_forms_of_images(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(random_export(**settings), ("classifier", "source_to_target"), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "size"), BACKBONES)
def test_files_of_backbones(backbone: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check(random_export(backbone, size=size), ("classifier",), monkeypatch)


@pytest.mark.slow
def test_files_of_a_normalised_backbone_of_grey_images_with_a_bottleneck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier = {"name": "torchvision:resnet18", "weights": "DEFAULT", "bottleneck": 8}
    check(random_export(classifier, channels=1), ("classifier",), monkeypatch)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The files of a small export whose class names have all kinds of characters."""
    export = random_export(class_names=CLASS_NAMES)
    return portable_files(export, PORTABLE_FORMATS, {"source": NOISE, "target": NOISE})[0]


CLASS_NAMES = ("\"a\" 'b'", "tab\there", "line\nbreak", "犬", "κ\u202eλ", "\\n", "<b>,;|")


def test_there_is_a_file_for_each_network_and_format(files: dict[str, bytes]) -> None:
    assert set(files) == {f"{name}.{kind}" for name in NETWORKS for kind in PORTABLE_FORMATS}


def test_class_names_of_all_kinds_are_in_the_metadata(files: dict[str, bytes]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(files["classifier.onnx"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(metadata["class_names"])) == CLASS_NAMES
    extra = {"metadata.json": ""}
    torch.export.load(io.BytesIO(files["classifier.pt2"]), extra_files=extra)
    assert tuple(json.loads(json.loads(extra["metadata.json"])["class_names"])) == CLASS_NAMES


def test_an_onnx_file_is_valid_and_names_its_dynamic_axes(files: dict[str, bytes]) -> None:
    model = onnx.load_from_string(files["classifier.onnx"])
    onnx.checker.check_model(model, full_check=True)
    (given,) = model.graph.input
    shape = given.type.tensor_type.shape.dim
    assert [axis.dim_param for axis in shape[:3]] == ["batch", "height", "width"]
    assert shape[3].dim_value == 3


def test_no_file_has_paths_of_this_machine(files: dict[str, bytes]) -> None:
    folder = module.__file__.rpartition("/adaptune/")[0].encode()
    for body in files.values():
        assert folder not in body
        assert b"site-packages" not in body


def test_a_pt2_file_contains_no_pickle(files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(files["classifier.pt2"])) as archive:
        for name in archive.namelist():
            assert not archive.read(name).startswith((b"\x80", b"PK")), name


@pytest.mark.parametrize("portable_format", PORTABLE_FORMATS)
def test_a_file_that_differs_from_torch_is_refused(
    portable_format: PortableFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = random_export()
    write, read = module._FORMATS[portable_format]

    def read_and_change(body: bytes) -> module.Run:
        run = read(body)
        return lambda images: [output + np.float32(2e-4) for output in run(images)]

    monkeypatch.setitem(module._FORMATS, portable_format, (write, read_and_change))
    message = f"classifier.{portable_format} is not written: its probabilities differ .* 0.0002"
    with pytest.raises(ResultsError, match=message):
        portable_files(export, [portable_format], {"source": NOISE, "target": NOISE})


def test_results_that_are_no_numbers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    write, _ = module._FORMATS["pt2"]
    no_numbers = lambda _: lambda images: [np.full((len(images), 3), np.nan)]  # noqa: E731
    monkeypatch.setitem(module._FORMATS, "pt2", (write, no_numbers))
    with pytest.raises(ResultsError, match=r"classifier\.pt2 is not written"):
        portable_files(random_export(), ["pt2"], {"source": NOISE, "target": NOISE})


def test_calibrated_probabilities_are_in_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    export = random_export()
    config = export.config.model_copy(update={"calibration": make_calibration(temperature=3.0)})
    export = replace(export, config=config)
    networks = portable_networks(export)[:1]
    monkeypatch.setattr(module, "portable_networks", lambda _: networks)
    files, checks = portable_files(export, PORTABLE_FORMATS, {"source": NOISE, "target": NOISE})
    pixels = NOISE.transpose(0, 2, 3, 1)
    logits = export.classifier(export.transform(pixels, "target"))
    for kind in PORTABLE_FORMATS:
        assert checks[f"classifier.{kind}"].largest_difference < 1e-4
        _, calibrated = READ[kind](files[f"classifier.{kind}"])(pixels)
        np.testing.assert_allclose(calibrated, (logits / 3).softmax(dim=1), atol=1e-5)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SpecError, match=r"pip install 'adaptune\[onnx\]'"):
        portable_files(random_export(), ["onnx"], {"source": NOISE, "target": NOISE})


def test_a_network_that_cannot_be_traced_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("data-dependent")

    monkeypatch.setattr(module, "trace", fail)
    with pytest.raises(ResultsError, match="cannot trace classifier: data-dependent; export wit"):
        portable_files(random_export(), ["pt2"], {"source": NOISE, "target": NOISE})


def test_without_a_format_nothing_is_done() -> None:
    assert portable_files(random_export(), [], {}) == ({}, {})
