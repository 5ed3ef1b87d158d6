"""The runs in W&B's offline files, by their own framing, which is that of LevelDB's log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

HEADER_BYTES = 7  # of the file, and of each record
BLOCK_BYTES = 32768
FIRST_OR_WHOLE = (1, 2)
WHOLE_OR_LAST = (1, 4)


@dataclass
class OfflineRun:
    """A run, whose sessions have a file each.

    Attributes:
        config: values of the trial.
        history: logged figures by step.
        repeated: steps that were logged more than once.
        summary: last figures.
        artifacts: names of the artifacts.
    """

    name: str = ""
    group: str = ""
    kind: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    repeated: list[int] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    exit_code: int | None = None

    def add(self, record: Record) -> None:
        """Add a record of the file."""
        kind = record.WhichOneof("record_type")
        if kind == "run":  # later ones have only what has changed
            self.name = record.run.display_name or self.name
            self.group = record.run.run_group or self.group
            self.kind = record.run.job_type or self.kind
            self.config |= _values(record.run.config.update)
        elif kind == "history":
            figures = _values(record.history.item)
            step = figures.pop("_step")
            if step in self.history:
                self.repeated.append(step)
            self.history[step] = figures
        elif kind == "summary":
            self.summary |= _values(record.summary.update)
        elif kind == "artifact":
            self.artifacts.append(record.artifact.name)
        elif kind == "exit":
            self.exit_code = record.exit.exit_code


def read_offline_runs(folder: Path) -> dict[str, OfflineRun]:
    """Return the runs in the folder of a search, by their identities."""
    runs: dict[str, OfflineRun] = {}
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        run = runs.setdefault(file.stem.removeprefix("run-"), OfflineRun())
        for data in _records(file.read_bytes()):
            run.add(Record.FromString(data))
    return runs


def _records(data: bytes) -> Iterator[bytes]:
    assert data.startswith(b":W&B")
    position, parts = HEADER_BYTES, b""
    while position < len(data):
        left = BLOCK_BYTES - position % BLOCK_BYTES
        if left < HEADER_BYTES:  # padding
            position += left
            continue
        size = int.from_bytes(data[position + 4 : position + 6], "little")
        kind = data[position + 6]
        position += HEADER_BYTES
        part = data[position : position + size]
        parts = part if kind in FIRST_OR_WHOLE else parts + part
        position += size
        if kind in WHOLE_OR_LAST:
            yield parts


def _values(items: Any) -> dict[str, Any]:
    values = {}
    for item in items:
        key = item.key or ".".join(item.nested_key)
        values[key] = json.loads(item.value_json)
    return values
