"""The exported networks as one program each, from the bytes of an image to a result.

A program holds the preprocessing, the network and the postprocessing, and takes any number of
images of any size.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from pydantic_core import to_json
from torch import Tensor, nn

from adaptune.artifacts.format import CLASSIFIER, DIRECTIONS, INPUT_ROLES, Role
from adaptune.artifacts.load import Export
from adaptune.artifacts.preprocess import Preprocess, to_uint8
from adaptune.spec.data import DomainSpec
from adaptune.training.temperature import TargetCalibration
from adaptune.version import __version__

if TYPE_CHECKING:  # imports the compiler of torch, which is slow
    from torch.export import ExportedProgram

INPUT_NAME = "images"
AXES = ("batch", "height", "width")  # of the images, before the channels
_BYTE = 255
_TRACED_BATCH = 2  # a batch of 1 would become a constant of the program
# What a traced program tells about the code that it was traced from, with paths.
_CODE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")

Array = npt.NDArray[np.generic]


class PortableClassifier(nn.Module):
    """f_T with its preprocessing and the softmax.

    Args:
        preprocess: the preprocessing of the target domain.
        classifier: f_T, (N, C, S, S) in [-1, 1] → (N, K) logits.
        temperature: of the probabilities that are calibrated for the target; None without any.
    """

    def __init__(
        self, preprocess: Preprocess, classifier: nn.Module, temperature: float | None = None
    ) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.classifier = classifier
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Classify images: integers (N, H, W, C) → float32 (N, K), probabilities.

        With a temperature, the calibrated ones follow.
        """
        logits: Tensor = self.classifier(self.preprocess(images))
        probabilities = logits.softmax(dim=1)
        if self.temperature is None:
            return (probabilities,)
        return probabilities, (logits / self.temperature).softmax(dim=1)


class PortableGenerator(nn.Module):
    """G_st or G_ts with the preprocessing of its domain, and its images as bytes.

    Args:
        preprocess: the preprocessing of the domain that it translates from.
        generator: the generator, (N, C, S, S) → (N, C, S, S), both in [-1, 1].
    """

    def __init__(self, preprocess: Preprocess, generator: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.generator = generator

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Translate images: integers (N, H, W, C) → uint8 (N, S, S, C)."""
        translated: Tensor = self.generator(self.preprocess(images))
        return (to_uint8(translated).permute(0, 2, 3, 1),)


@dataclass(frozen=True)
class PortableNetwork:
    """A network that can be written as a program.

    Attributes:
        name: its key in `NETWORKS`.
        module: the network with its preprocessing and postprocessing.
        role: the domain whose images it takes.
        domain: the form of these images.
        class_names: names of the K classes; empty for a generator.
        calibration: calibration of a classifier for the target, if there is one.
    """

    name: str
    module: nn.Module
    role: Role
    domain: DomainSpec
    class_names: tuple[str, ...] = ()
    calibration: TargetCalibration | None = None

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the program's outputs."""
        if not self.class_names:
            return ("translations",)
        if self.calibration is None:
            return ("probabilities",)
        return "probabilities", "calibrated_probabilities"

    @property
    def tolerance(self) -> float:
        """The largest difference to torch at which the program is written."""
        return 1e-4 if self.class_names else 1

    @property
    def channels(self) -> int:
        """C of the images that the program takes; a network of grey images takes RGB."""
        return 3 if self.domain.channels == 1 else self.domain.channels

    @property
    def top(self) -> int:
        """The highest value of the images: that of 8 bits, or of the domain's value range."""
        intervals = self.domain.intervals or ()
        return max([_BYTE, *(int(high) for _, high in intervals)])

    @property
    def pixel_type(self) -> torch.dtype:
        """The type of the images: uint8, or uint16 if the value range needs it."""
        return torch.uint8 if self.top == _BYTE else torch.uint16

    @property
    def min_size(self) -> int:
        """The smallest H and W of the images in px: a crop must fit."""
        return self.domain.crop or 1

    def metadata(self) -> dict[str, str]:
        """Return what the file tells about itself; the class names are a JSON list."""
        kind = str(self.pixel_type).removeprefix("torch.")
        colours = "RGB" if self.channels == 3 else f"{self.channels} channels"
        metadata = {
            "adaptune": __version__,
            "network": self.name,
            "input": f"{INPUT_NAME}: {kind} (N, H, W, {self.channels}), {colours}",
            "smallest_edge_px": str(self.min_size),
        }
        if self.class_names:
            form = f"float32 (N, {len(self.class_names)})"
            metadata["class_names"] = to_json(self.class_names).decode()
        else:
            size, channels = self.domain.size, self.domain.channels
            form = f"uint8 (N, {size}, {size}, {channels})"
        metadata["outputs"] = f"{', '.join(self.output_names)}: {form}"
        if self.calibration is not None:
            metadata["calibration"] = self.calibration.model_dump_json()
        return metadata


def portable_networks(export: Export) -> list[PortableNetwork]:
    """Return the networks of an export on the CPU."""
    target = export.domains["target"]
    calibration = export.config.calibration
    temperature = None if calibration is None else calibration.temperature
    classifier = PortableClassifier(Preprocess(target), export.classifier, temperature).eval()
    networks = [
        PortableNetwork(CLASSIFIER, classifier, "target", target, export.class_names, calibration)
    ]
    for direction in DIRECTIONS:
        role = INPUT_ROLES[direction]
        domain = export.domains[role]
        generator = PortableGenerator(Preprocess(domain), export.generators[direction]).eval()
        networks.append(PortableNetwork(direction, generator, role, domain))
    return networks


def trace(network: PortableNetwork) -> ExportedProgram:
    """Return the program of a network, for any number of images of any size."""
    from torch.export import Dim, export

    edge = max(network.min_size, network.domain.size)
    # Two edges that are equal to no other number, or the program would be for these alone.
    shape = (_TRACED_BATCH, edge + 3, edge + 5, network.channels)
    example = torch.zeros(shape, dtype=network.pixel_type)
    smallest = (1, max(network.min_size, 2), max(network.min_size, 2))
    dimensions = {}
    for axis, name in enumerate(AXES):
        dimensions[axis] = Dim(name, min=smallest[axis])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch and timm about their own code
        program = export(network.module, (example,), dynamic_shapes=(dimensions,))
    for node in program.graph.nodes:
        for key in _CODE:
            node.meta.pop(key, None)
    program.example_inputs = None  # they would be the only pickled part of a `.pt2` file
    return program


def sample_batches(network: PortableNetwork, images: Array) -> list[Array]:
    """Return batches of images of a domain in the form that the program takes.

    They have 1 and 7 images, and two sizes each.

    Args:
        images: uint8 (N, C, S, S), at least one.

    Returns:
        Integers (B, H, W, C).
    """
    channels_last = images.transpose(0, 2, 3, 1)
    if channels_last.shape[-1] == 1:
        channels_last = channels_last.repeat(3, axis=-1)
    kind = np.uint8 if network.top == _BYTE else np.uint16
    values = (channels_last.astype(np.float64) * (network.top / _BYTE)).astype(kind)
    edge = max(network.min_size, network.domain.size)
    batches: list[Array] = []
    for height, width in ((edge, edge), (edge * 3 // 2 + 1, edge * 2 + 3)):
        resized = _nearest(values, height, width)
        batches.append(resized[:1])
        batches.append(resized[np.arange(7) % len(resized)])
    return batches


def _nearest(images: Array, height: int, width: int) -> Array:
    rows = np.arange(height) * images.shape[1] // height
    columns = np.arange(width) * images.shape[2] // width
    return images[:, rows][:, :, columns]
