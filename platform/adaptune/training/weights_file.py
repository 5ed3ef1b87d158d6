"""The weights of a network in a safetensors file."""

from __future__ import annotations

import logging
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from adaptune.files import make_folder, write_file

log = logging.getLogger(__name__)


def write_weights(file: Path, weights: dict[str, Tensor]) -> None:
    """Write weights to a file, durably; its folder need not exist.

    Raises:
        OSError: the file cannot be written.
    """
    make_folder(file.parent)
    write_file(file, save(weights))


def read_weights(file: Path, network: nn.Module) -> dict[str, Tensor] | None:
    """Return the weights in a file, or None if they cannot be used.

    That a file exists but is damaged or of another network is logged.

    Args:
        network: a network that the weights must fit; its own weights are not read.
    """
    try:
        weights = load(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        log.warning("%s cannot be read: %s", file, error)
        return None
    if _layout(weights) != _layout(network.state_dict()):
        log.warning("%s holds the weights of another network", file)
        return None
    return weights


def _layout(weights: dict[str, Tensor]) -> dict[str, tuple[object, ...]]:
    return {name: (value.dtype, *value.shape) for name, value in weights.items()}
