"""Loading of an export, after its files are verified."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel
from safetensors import SafetensorError
from torch import Tensor, nn

from adaptune.artifacts.format import (
    CHECKSUMS_FILE,
    CLASSIFIER,
    CONFIG_FILE,
    DIRECTIONS,
    FORMAT,
    METRICS_FILE,
    NETWORKS,
    PORTABLE_FILES,
    Direction,
    ExportConfig,
    Role,
    weights_file,
)
from adaptune.artifacts.preprocess import preprocess_arrays
from adaptune.data.array_types import Pixels
from adaptune.errors import ResultsError
from adaptune.models.classifiers import Classifier
from adaptune.spec.data import DomainSpec
from adaptune.training.build import build_classifier, build_generator


@dataclass(frozen=True)
class Export:
    """A loaded export; its networks are in eval mode on `device`.

    Attributes:
        config: the contents of `config.json`.
        classifier: f_T, float32 [N, C, H, W] in [-1, 1] → logits [N, K].
        generators: G_st and G_ts by direction, float32 [N, C, H, W] in [-1, 1] → the same.
        device: where the networks are.
    """

    config: ExportConfig
    classifier: Classifier
    generators: dict[Direction, nn.Module]
    device: torch.device

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per logit of f_T, in order."""
        return self.config.class_names

    @property
    def domains(self) -> dict[Role, DomainSpec]:
        """The two domains and the preprocessing of their images."""
        return {"source": self.config.data.source, "target": self.config.data.target}

    def transform(self, images: Pixels | Iterable[Pixels], role: Role) -> Tensor:
        """Preprocess images like those of a domain.

        Args:
            images: HW or HWC, uint8 or uint16; one array [N, …], or images of any sizes.
            role: the domain.

        Returns:
            float32 [N, C, H, W] in [-1, 1] on the export's device.

        Raises:
            DataError: an image is smaller than the domain's crop, or has another shape or type.
        """
        return preprocess_arrays(self.domains[role], images).to(self.device)


def load_export(folder: Path | str, device: torch.device | str = "cpu") -> Export:
    """Load an export that `write_export` wrote. Nothing is unpickled.

    All files but the model card are verified against `SHA256SUMS`. Links are refused: they may lead
    out of the folder.

    Raises:
        ResultsError: `folder` is not an export, has another format version, or one of its files
            is missing or damaged.
    """
    folder = Path(folder)
    checksums = _read_checksums(folder)
    config_json = _read_verified(folder / CONFIG_FILE, checksums)
    _check_format(folder, config_json)
    weights = {name: _read_verified(folder / weights_file(name), checksums) for name in NETWORKS}
    _read_verified(folder / METRICS_FILE, checksums)
    for name in PORTABLE_FILES:
        if name in checksums and (folder / name).exists():  # a user may delete those not needed
            _read_verified(folder / name, checksums)
    try:
        config = ExportConfig.model_validate_json(config_json)
        return build_export(config, weights, torch.device(device))
    # pydantic raises a ValueError.
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise ResultsError(
            f"{folder}: {CONFIG_FILE} and the weights do not match: {error}"
        ) from error


class _Header(BaseModel):
    """The part of `config.json` that all formats share."""

    format: int
    adaptune: str


def _check_format(folder: Path, config_json: bytes) -> None:
    try:
        header = _Header.model_validate_json(config_json)
    except ValueError as error:
        raise ResultsError(
            f"{folder} is not an export: {CONFIG_FILE} does not name its format: {error}"
        ) from error
    if header.format == FORMAT:
        return
    if header.format < FORMAT:
        advice = "export the model again with this adaptune, or load it with the one that wrote it"
    else:
        advice = "upgrade adaptune to load it"
    raise ResultsError(
        f"{folder} has format {header.format} of adaptune {header.adaptune},"
        f" but this adaptune loads format {FORMAT}: {advice}"
    )


def build_export(
    config: ExportConfig, weights: Mapping[str, bytes], device: torch.device
) -> Export:
    """Return the networks that a config describes, with the weights in these files.

    Args:
        weights: contents of the weights files by the names of the networks.

    Raises:
        KeyError, ValueError, RuntimeError: the weights do not fit.
    """
    target = config.data.target
    init_gain = config.training.init_gain
    # The random initial weights are replaced at once, so the caller's generator must not advance.
    with torch.random.fork_rng(devices=[]):
        classifier = build_classifier(config.model.classifier, target, len(config.class_names))
        generators = {
            direction: build_generator(config.model, target.channels, init_gain)
            for direction in DIRECTIONS
        }
    _restore(classifier, weights[CLASSIFIER], device)
    for direction, generator in generators.items():
        _restore(generator, weights[direction], device)
    return Export(config=config, classifier=classifier, generators=generators, device=device)


def _restore(network: nn.Module, weights: bytes, device: torch.device) -> None:
    from safetensors.torch import load

    network.load_state_dict(load(weights))
    network.to(device).eval().requires_grad_(False)


def _read_checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 digests of an export's files by file name."""
    try:
        lines = (folder / CHECKSUMS_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{folder} is not an export: {CHECKSUMS_FILE} cannot be read: {error}"
        ) from error
    checksums: dict[str, str] = {}
    for line in lines:
        digest, _, name = line.partition("  ")
        if name in ("", "..") or Path(name).name != name or "\\" in name:
            raise ResultsError(
                f"{folder / CHECKSUMS_FILE} is refused: it names {name}, which is not a file of the"
                " export's folder"
            )
        checksums[name] = digest
    return checksums


def _read_verified(file: Path, checksums: Mapping[str, str]) -> bytes:
    """Return the contents of a file whose checksum is correct.

    The file is read once, so that it cannot change between verification and use.
    """
    digest = checksums.get(file.name)
    if digest is None:
        raise ResultsError(
            f"{file.parent / CHECKSUMS_FILE} is damaged: it does not list {file.name}"
        )
    if file.is_symlink():
        raise ResultsError(f"{file} is refused: it is a link; copy the file itself")
    try:
        contents = file.read_bytes()
    except OSError as error:
        raise ResultsError(
            f"{file} is missing from the export or cannot be read: {error}"
        ) from error
    if hashlib.sha256(contents).hexdigest() != digest:
        raise ResultsError(
            f"{file} is damaged: it does not match {CHECKSUMS_FILE};"
            " export the model again, or copy the file again"
        )
    return contents
