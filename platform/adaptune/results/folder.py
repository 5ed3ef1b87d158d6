"""Where a search leaves what."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.spec import SearchSpec


@dataclass(frozen=True)
class ResultsFolder:
    """`results/<name>/` of one search."""

    path: Path
    remote: str | None = None  # URI of its copy in an object store, where the checkpoints lie then

    @property
    def spec(self) -> Path:
        return self.path / "search.yaml"

    @property
    def journal(self) -> Path:
        return self.path / "study.journal"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def log(self) -> Path:
        return self.path / "ray.log"

    @property
    def splits(self) -> Path:
        """Which sample went to which part of the data."""
        return self.path / "splits.parquet"

    @property
    def tables(self) -> tuple[Path, Path]:
        """Of trials and of epochs."""
        return self.path / "trials.parquet", self.path / "epochs.parquet"

    @property
    def begun(self) -> bool:
        """Whether there is anything of a search that a user would miss."""
        return self.journal.exists() or (self.path / "trials").exists()

    @property
    def seen_by_all(self) -> Path | None:
        """What all nodes must see; None where an object store is what they share."""
        return self.path if self.remote is None else None

    def scratch(self, *parts: str) -> str:
        """A path or URI that all nodes see, for Ray's own files: nothing reads them back."""
        return self._shared(".ray", *parts)

    def trial(self, number: int) -> Path:
        return self.path / "trials" / str(number)

    def checkpoints(self, number: int) -> str:
        """A path or URI that all nodes see."""
        return self._shared("trials", str(number), "checkpoints")

    def _shared(self, *parts: str) -> str:
        return (
            str(self.path.joinpath(*parts)) if self.remote is None else below(self.remote, *parts)
        )


def below(uri: str, *parts: str) -> str:
    """A path below that of a URI, whose options (`?endpoint_override=…`) stay at its end."""
    base, mark, options = uri.partition("?")
    return "/".join([base.rstrip("/"), *parts]) + mark + options


def folder_of(spec: SearchSpec) -> ResultsFolder:
    """Where the search of this spec leaves what."""
    remote = None if spec.storage.remote is None else below(spec.storage.remote, spec.name)
    return ResultsFolder(Path(spec.storage.out).resolve() / spec.name, remote)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader, or a kill, finds the old or the new one, never a part."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file, as `write_atomically` does."""
    draft = path.with_name(path.name + ".part")
    pq.write_table(table, draft)
    os.replace(draft, path)
