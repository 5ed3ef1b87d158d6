"""Portable files of an export: ONNX, and exported programs of torch (`.pt2`).

Each is compared with torch on real images before it is written.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic_core import to_json

from adaptune.artifacts.format import PortableCheck, PortableFormat, Role, portable_file
from adaptune.artifacts.load import Export
from adaptune.artifacts.portable import (
    AXES,
    INPUT_NAME,
    Array,
    PortableNetwork,
    portable_networks,
    sample_batches,
    trace,
)
from adaptune.errors import ResultsError, SpecError

if TYPE_CHECKING:  # imports the compiler of torch, which is slow
    from torch.export import ExportedProgram

_OPSET = 20

Run = Callable[[Array], Sequence[Array]]


def portable_files(
    export: Export, formats: Collection[PortableFormat], samples: Mapping[Role, Array]
) -> tuple[dict[str, bytes], dict[str, PortableCheck]]:
    """Return the contents of the portable files of an export by name, and their comparisons.

    Args:
        export: the export, on the CPU.
        formats: formats to write.
        samples: images of each domain, uint8 (N, C, S, S), on which the files are compared with
            torch; not read without formats.

    Raises:
        SpecError: a package that a format needs is not installed.
        ResultsError: a network cannot be written in a format, or its results differ from torch's.
    """
    contents: dict[str, bytes] = {}
    checks: dict[str, PortableCheck] = {}
    for network in portable_networks(export) if formats else []:
        batches = sample_batches(network, samples[network.role])
        program = _traced(network)
        for portable_format in formats:
            write, read = _FORMATS[portable_format]
            file = portable_file(network.name, portable_format)
            body = write(program, network)
            checks[file] = _compare(file, network, read(body), batches)
            contents[file] = body
    return contents, checks


def read_onnx(body: bytes) -> Run:
    """Return the program of an ONNX file: integers (N, H, W, C) → its outputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(body, providers=["CPUExecutionProvider"])

    def run(images: Array) -> Sequence[Array]:
        outputs: Sequence[Array] = session.run(None, {INPUT_NAME: images})
        return outputs

    return run


def read_pt2(body: bytes) -> Run:
    """Return the program of a `.pt2` file: integers (N, H, W, C) → its outputs."""
    module = torch.export.load(io.BytesIO(body)).module()

    def run(images: Array) -> Sequence[Array]:
        with torch.no_grad():
            return [output.numpy() for output in module(torch.from_numpy(images))]

    return run


def _traced(network: PortableNetwork) -> ExportedProgram:
    try:
        return trace(network)
    except Exception as error:  # torch.export has many kinds
        raise ResultsError(
            f"torch.export cannot trace {network.name}: {error}; export without --format"
        ) from error


def _to_onnx(program: ExportedProgram, network: PortableNetwork) -> bytes:
    try:
        import onnx
        import onnxruntime  # noqa: F401  (the file is compared with it)
        import onnxscript  # noqa: F401  (torch writes the file with it)
    except ModuleNotFoundError as error:
        raise SpecError(
            "the format onnx needs more packages: pip install 'adaptune[onnx]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about its own code
            exported = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=[INPUT_NAME],
                output_names=network.output_names,
                opset_version=_OPSET,
                dynamic_shapes=(dict(enumerate(AXES)),),
            )
        assert exported is not None
        model = exported.model_proto
        for node in model.graph.node:  # names of functions and files
            node.ClearField("metadata_props")
        onnx.helper.set_model_props(model, network.metadata())
        body: bytes = model.SerializeToString()
    except (torch.onnx.OnnxExporterError, ValueError) as error:  # ValueError: more than 2 GB
        raise ResultsError(f"{network.name} cannot be written as ONNX: {error}") from error
    return body


def _to_pt2(program: ExportedProgram, network: PortableNetwork) -> bytes:
    file = io.BytesIO()
    metadata = to_json(network.metadata()).decode()
    torch.export.save(program, file, extra_files={"metadata.json": metadata})
    return file.getvalue()


_Write = Callable[["ExportedProgram", PortableNetwork], bytes]
_FORMATS: dict[PortableFormat, tuple[_Write, Callable[[bytes], Run]]] = {
    "onnx": (_to_onnx, read_onnx),
    "pt2": (_to_pt2, read_pt2),
}


def _compare(
    file: str, network: PortableNetwork, run: Run, batches: Sequence[Array]
) -> PortableCheck:
    """Compare a file with torch.

    Raises:
        ResultsError: they differ by more than the tolerance.
    """
    differences = []
    for images in batches:
        with torch.no_grad():
            expected = network.module(torch.from_numpy(images))
        for output, of_torch in zip(run(images), expected, strict=True):
            difference = np.abs(output.astype(np.float64) - of_torch.double().numpy())
            differences.append(difference.max())
    largest = float(np.max(differences))
    # A comparison with NaN is false.
    if not largest <= network.tolerance:
        outputs = network.output_names[0]
        raise ResultsError(
            f"{file} is not written: its {outputs} differ from torch's by {largest:g}, more than"
            f" {network.tolerance:g}; export without --format"
        )
    return PortableCheck(largest_difference=largest, images=sum(map(len, batches)))
