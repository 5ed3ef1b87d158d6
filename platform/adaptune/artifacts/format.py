"""Layout of an export: its format version, its files and the schema of `config.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from adaptune.spec.base import Method, Section
from adaptune.spec.data import DomainSpec, TargetSpec
from adaptune.spec.loss_terms import LossWeights
from adaptune.spec.model import ModelSpec
from adaptune.spec.training import TrainingSpec
from adaptune.training.temperature import TargetCalibration

FORMAT = 2

Role = Literal["source", "target"]
Direction = Literal["source_to_target", "target_to_source"]
DIRECTIONS: tuple[Direction, ...] = ("source_to_target", "target_to_source")
# The domain of the images that the generator of a direction takes.
INPUT_ROLES: dict[Direction, Role] = {
    "source_to_target": "source",
    "target_to_source": "target",
}
PortableFormat = Literal["onnx", "pt2"]
PORTABLE_FORMATS: tuple[PortableFormat, ...] = ("onnx", "pt2")

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
MODEL_CARD_FILE = "README.md"
CHECKSUMS_FILE = "SHA256SUMS"
SERVE_FILE = "serve_export.py"

CLASSIFIER = "classifier"
# Exported networks: the name of their weights in an export → their name in a checkpoint.
NETWORKS = {
    CLASSIFIER: "f_t",
    "source_to_target": "g_st",
    "target_to_source": "g_ts",
}


def weights_file(name: str) -> str:
    """Return the file name of an exported network's weights, `name` being a key of `NETWORKS`."""
    return f"{name}.safetensors"


def portable_file(name: str, portable_format: PortableFormat) -> str:
    """Return the file name of an exported network in a portable format."""
    return f"{name}.{portable_format}"


# The model card and the application for Ray Serve are not verified on loading: users may edit them.
VERIFIED_FILES = (*map(weights_file, NETWORKS), CONFIG_FILE, METRICS_FILE)
PORTABLE_FILES = tuple(
    portable_file(name, portable_format)
    for name in NETWORKS
    for portable_format in PORTABLE_FORMATS
)
EXPORT_FILES = (
    *VERIFIED_FILES,
    *PORTABLE_FILES,
    MODEL_CARD_FILE,
    SERVE_FILE,
    CHECKSUMS_FILE,
)


class ExportDomains(Section):
    """The two domains of an export and the preprocessing of their images."""

    source: DomainSpec = Field(description="the labelled domain")
    target: TargetSpec = Field(description="the domain that f_T was adapted to")


class ExportConfig(Section):
    """The contents of `config.json`: how to rebuild the networks, and how they were trained."""

    format: int = Field(description="version of the export format")
    adaptune: str = Field(description="version of adaptune that wrote the export")
    method: Method = Field(description="the adaptation method")
    class_names: tuple[str, ...] = Field(description="one name per logit of f_T, in order")
    data: ExportDomains = Field(description="the domains and the preprocessing of their images")
    model: ModelSpec = Field(description="the architecture of the networks")
    loss_weights: LossWeights = Field(description="the λ that the networks were trained with")
    training: TrainingSpec = Field(description="the other settings of the training")
    seed: int = Field(description="seed of the trial")
    calibration: TargetCalibration | None = Field(
        default=None, description="calibration for the target; null if it was not possible"
    )


class PortableCheck(BaseModel):
    """The comparison of a portable file with torch.

    Attributes:
        largest_difference: of two probabilities, or of two pixels in steps of 1/255.
        images: number of images that were compared.
    """

    largest_difference: float
    images: int
