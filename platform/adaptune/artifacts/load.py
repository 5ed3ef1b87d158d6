"""Reads an export back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from adaptune.artifacts.format import (
    CHECKED,
    CLASSIFIER,
    CONFIG,
    DIRECTIONS,
    FORMAT,
    SUMS,
    weights_file,
)
from adaptune.data.device_images import to_float
from adaptune.data.domain import Images
from adaptune.data.preprocessing import prepare
from adaptune.errors import ResultsError
from adaptune.spec.schema import DomainSpec, ModelSpec
from adaptune.training.build import build_classifier, build_generator

Role = Literal["source", "target"]


@dataclass(frozen=True)
class Export:
    """A loaded export; its networks are in eval mode on `device`.

    Attributes:
        config: the contents of config.json.
        classifier: f_T, float32 [N, C, H, W] in [-1, 1] → logits [N, classes].
        generators: `source_to_target` and `target_to_source`, [N, C, H, W] in [-1, 1] → the same.
        domains: the form of the images of `source` and `target`.
    """

    config: dict[str, Any]
    class_names: tuple[str, ...]
    classifier: nn.Module
    generators: dict[str, nn.Module]
    domains: dict[Role, DomainSpec]
    device: torch.device

    def transform(self, images: Images | Iterable[Images], role: Role) -> Tensor:
        """Images (HW or HWC, uint8, any sizes) in the form of a domain: float32 [N, C, H, W] on the device.

        Raises:
            DataError: an image is smaller than the domain's crop, or has another form.
        """
        form = self.domains[role]
        prepared = prepare(images, crop=form.crop, size=form.size, channels=form.channels)
        return to_float(torch.tensor(prepared, device=self.device))


def load_export(folder: Path, device: torch.device | str = "cpu") -> Export:
    """Load what `write_export` wrote, after its files were checked against SHA256SUMS.

    Raises:
        ResultsError: it is not an export, a file is missing or damaged, or a later adaptune wrote it.
    """
    contents = _checked(folder)
    config = json.loads(contents[CONFIG])
    if config.get("format") != FORMAT:
        raise ResultsError(
            f"{folder} has the format {config.get('format')} of adaptune {config.get('adaptune')};"
            f" this adaptune reads format {FORMAT}"
        )
    try:
        return _build(config, contents, torch.device(device))
    except (KeyError, ValueError, RuntimeError) as error:  # pydantic's error is a ValueError
        raise ResultsError(
            f"{folder}: {CONFIG} and the weights do not fit together: {error}"
        ) from error


def _build(config: dict[str, Any], contents: dict[str, bytes], device: torch.device) -> Export:
    from safetensors.torch import load

    model = ModelSpec.model_validate(config["model"])
    domains: dict[Role, DomainSpec] = {
        "source": DomainSpec.model_validate(config["data"]["source"]),
        "target": DomainSpec.model_validate(config["data"]["target"]),
    }
    class_names = tuple(config["class_names"])
    target, gain = domains["target"], config["training"]["init_gain"]
    with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten at once
        nets: dict[str, nn.Module] = {
            CLASSIFIER: build_classifier(model.classifier, target, len(class_names))
        }
        nets |= {
            direction: build_generator(model, target.channels, gain) for direction in DIRECTIONS
        }
    for name, net in nets.items():
        net.load_state_dict(load(contents[weights_file(name)]))
        net.to(device).eval().requires_grad_(False)
    return Export(
        config=config,
        class_names=class_names,
        classifier=nets[CLASSIFIER],
        generators={direction: nets[direction] for direction in DIRECTIONS},
        domains=domains,
        device=device,
    )


def _checked(folder: Path) -> dict[str, bytes]:
    """The files that loading depends on; what was hashed is what is used."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ResultsError(f"{folder} is not an export: {SUMS} cannot be read: {error}") from error
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    return {name: _read(folder / name, sums.get(name)) for name in CHECKED}


def _read(file: Path, digest: str | None) -> bytes:
    if digest is None:
        raise ResultsError(f"{file.parent / SUMS} is damaged: it does not list {file.name}")
    try:
        body = file.read_bytes()
    except OSError as error:
        raise ResultsError(
            f"{file} is missing from the export or cannot be read: {error}"
        ) from error
    if hashlib.sha256(body).hexdigest() != digest:
        raise ResultsError(
            f"{file} is damaged: it does not match {SUMS}; export it anew, or copy it again"
        )
    return body
