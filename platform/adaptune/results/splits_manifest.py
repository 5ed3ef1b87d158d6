"""The record of the data of a search, and of which sample belongs to which part."""

from __future__ import annotations

import json
from importlib import metadata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.data.identity import DataIdentity, parse_identity
from adaptune.data.splits import Splits
from adaptune.errors import ResultsError
from adaptune.results.folder import ResultsFolder, write_table

_IDENTITY = b"adaptune:identity"
_PIXELS = b"adaptune:pixels"
_VERSIONS = b"adaptune:versions"
_CLASS_NAMES = b"adaptune:class_names"
_DECODERS = ("pillow", "torch", "numpy")


def write_or_verify(splits: Splits, folder: ResultsFolder) -> str | None:
    """Write `splits.parquet`, or compare the data with it in a resumed search.

    The table has one row per sample: its part, and its index in the loaded domain. Data is the same
    if its identity is, wherever it is stored.

    Returns:
        A warning in one line, or None: the file was damaged and is written again, or libraries
        decode the same images to other pixels than at the start.

    Raises:
        ResultsError: the search began with other data; the message names what differs.
    """
    if not folder.splits.exists():
        _write(splits, folder)
        return None
    try:
        stored = pq.read_schema(folder.splits).metadata or {}
    except (OSError, pa.ArrowException):
        _write(splits, folder)
        return (
            f"{folder.splits.name} was damaged and is written again: make sure that the data is"
            " that of the start"
        )
    _verify(splits.identity, _stored_identity(stored, folder), folder)
    if stored[_PIXELS] == splits.pixel_digest().encode():
        return None
    return (
        "the images are those of the start but are decoded to other pixels"
        f"{_changed_versions(stored[_VERSIONS])}: accuracies may differ slightly from earlier ones"
    )


def stored_class_names(folder: ResultsFolder) -> tuple[str, ...]:
    """Return the class names of a search, without its data.

    Raises:
        ResultsError: the trials have not begun, or the file is damaged.
    """
    try:
        stored = pq.read_schema(folder.splits).metadata or {}
        return tuple(json.loads(stored[_CLASS_NAMES]))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise ResultsError(
            f"{folder.splits} has no class names: its trials have not begun, or it is damaged; a"
            " resume of the search writes it again"
        ) from error


def stored_identity(folder: ResultsFolder) -> DataIdentity:
    """Return the identity of the data of a search.

    Raises:
        ResultsError: the trials have not begun, or the file is damaged.
    """
    try:
        stored = pq.read_schema(folder.splits).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"{folder.splits} cannot be read: {error}") from error
    return _stored_identity(stored, folder)


def _stored_identity(stored: dict[bytes, bytes], folder: ResultsFolder) -> DataIdentity:
    try:
        return parse_identity(stored[_IDENTITY])
    except (KeyError, ValueError) as error:
        raise ResultsError(
            f"{folder.splits} has no identity of the data: another version of adaptune wrote it;"
            " resume the search with that version, or start it again under another --name"
        ) from error


def _verify(identity: DataIdentity, stored: DataIdentity, folder: ResultsFolder) -> None:
    differences = identity.differences(stored)
    if differences:
        raise ResultsError(
            f"{folder.path} holds a search of other data under the same names: not as at its start"
            f" are {', '.join(differences)}. New trials cannot be compared with its trials; restore"
            " the data, or give this search another --name"
        )


def _write(splits: Splits, folder: ResultsFolder) -> None:
    parts = []
    for part, indices in splits.indices.items():
        parts += [part] * len(indices)
    indices = np.concatenate(list(splits.indices.values()))
    table = pa.table({"part": parts, "index": indices})
    description = {
        _IDENTITY: splits.identity.to_json().encode(),
        _PIXELS: splits.pixel_digest().encode(),
        _VERSIONS: json.dumps(_versions()).encode(),
        _CLASS_NAMES: json.dumps(splits.trial.class_names).encode(),
    }
    write_table(folder.splits, table.replace_schema_metadata(description))


def _versions() -> dict[str, str]:
    """Return the versions of the libraries that decode and resize images."""
    return {name: metadata.version(name) for name in _DECODERS}


def _changed_versions(stored: bytes) -> str:
    changes = []
    earlier = json.loads(stored)
    for name, version in _versions().items():
        if earlier.get(name) != version:
            changes.append(f"{name} {earlier.get(name)} → {version}")
    return f" ({', '.join(changes)})" if changes else ""
