"""Pretrained weights of backbones: files that are verified, and those of the libraries."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from adaptune.errors import SpecError
from adaptune.models.backbones import timm_options
from adaptune.spec.model import ClassifierSpec

_ADVICE = "give another file as model.classifier.weights"


def read_pretrained(spec: ClassifierSpec, size: int) -> Mapping[str, Tensor]:
    """Return the pretrained weights of the spec: the state dict of the whole network, on the CPU.

    A process reads them once.

    Args:
        spec: a classifier with pretrained weights.
        size: edge of the images in px.

    Raises:
        SpecError: a file cannot be read, is damaged, or has another hash than the spec gives; or
            the library's weights cannot be downloaded.
    """
    if spec.weights_file is None:
        return _from_library(spec, size)
    path = Path(spec.weights_file).expanduser()
    try:
        state = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return _from_file(path, spec.weights_sha256, (state.st_mtime_ns, state.st_size))


def forget_pretrained() -> None:
    """Free the memory of weights that `read_pretrained` keeps."""
    _from_file.cache_clear()
    _from_library.cache_clear()


def pretrained_identity(spec: ClassifierSpec) -> str:
    """Return a text that identifies the pretrained weights by their content.

    Raises:
        SpecError: the file cannot be read.
    """
    if not spec.is_pretrained:
        return spec.weights
    if spec.weights_sha256 is not None:
        return spec.weights_sha256
    if spec.weights_file is not None:
        return file_sha256(spec.weights_file)
    if spec.library == "torchvision":
        from torchvision import models

        return str(models.get_model_weights(spec.backbone).DEFAULT.url)  # contains a hash
    import timm

    return f"timm {timm.__version__} {spec.backbone}"


def file_sha256(file: str) -> str:
    """Return the SHA-256 (hexadecimal) of a file of weights.

    Raises:
        SpecError: the file cannot be read.
    """
    path = Path(file).expanduser()
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


@lru_cache(maxsize=1)
def _from_file(path: Path, sha256: str | None, _stamp: tuple[int, int]) -> Mapping[str, Tensor]:
    """Return the state dict in a file; the stamp tells files apart that replace each other."""
    # The file is read once, so that it cannot change between the check and its use.
    try:
        body = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    digest = hashlib.sha256(body).hexdigest()
    if sha256 not in (None, digest):
        raise SpecError(
            f"the pretrained weights {path} have the SHA-256 {digest}, not {sha256}: {_ADVICE}, or"
            " correct model.classifier.weights_sha256"
        )
    return _parse(path, body)


def _parse(path: Path, body: bytes) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load

            return load(body)
        weights = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes lead the unpickler to errors of any type
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise SpecError(
            f"the pretrained weights {path} cannot be read: {reason}: {_ADVICE}, or save the state"
            " dict of the network again"
        ) from error
    is_state_dict = isinstance(weights, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    )
    if not is_state_dict:
        raise SpecError(
            f"the pretrained weights {path} are no state dict: save `model.state_dict()` with"
            " torch.save or safetensors"
        )
    state_dict: Mapping[str, Tensor] = weights
    return state_dict


@lru_cache(maxsize=1)
def _from_library(spec: ClassifierSpec, size: int) -> Mapping[str, Tensor]:
    try:
        # The weights that it draws first must not change what the caller draws.
        with torch.random.fork_rng(devices=[]):
            model = _library_model(spec, size)
    except (OSError, RuntimeError) as error:
        raise SpecError(
            f"the weights of {spec.name} cannot be downloaded: {error}; without internet, give a"
            " file as model.classifier.weights"
        ) from error
    weights: Mapping[str, Tensor] = model.state_dict()
    return weights


def _library_model(spec: ClassifierSpec, size: int) -> nn.Module:
    if spec.library == "torchvision":
        from torchvision import models

        model: nn.Module = models.get_model(spec.backbone, weights="DEFAULT")
        return model
    import timm

    model = timm.create_model(spec.backbone, pretrained=True, **timm_options(spec.backbone, size))
    return model


def _unreadable(path: Path, error: OSError) -> SpecError:
    return SpecError(
        f"the pretrained weights {path} cannot be read: {error.strerror}; every node must have them"
        " under this path, see model.classifier.weights"
    )
