"""Layout of a results folder, and writing of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from adaptune.files import write_file
from adaptune.spec.storage import StorageSpec
from adaptune.training.checkpoint import CheckpointFolder

FORMAT = 2
FORMAT_KEY = b"adaptune:format"  # in the metadata of Parquet files


@dataclass(frozen=True)
class ResultsFolder:
    """The folder `results/<name>/` of one search.

    Attributes:
        path: the folder on this machine.
        remote: URI of its copy in an object store, which then holds the checkpoints; or None.
        keep_checkpoints: number of newest checkpoints that a trial keeps in addition to its best.
    """

    path: Path
    remote: str | None = None
    keep_checkpoints: int = 2

    @property
    def spec(self) -> Path:
        """The resolved search space file."""
        return self.path / "search.yaml"

    @property
    def journal(self) -> Path:
        """The Optuna study."""
        return self.path / "study.journal"

    @property
    def summary(self) -> Path:
        """The figures of the finished search."""
        return self.path / "summary.json"

    @property
    def changed_images(self) -> Path:
        """Images of the held-out test set that the adaptation made right or wrong."""
        return self.path / "changed_images.parquet"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @property
    def best(self) -> Path:
        """The export of the best model."""
        return self.path / "best"

    @property
    def log(self) -> Path:
        """The output of Ray."""
        return self.path / "ray.log"

    @property
    def splits(self) -> Path:
        """The part of the data that each sample belongs to."""
        return self.path / "splits.parquet"

    @property
    def source_classifier(self) -> Path:
        """The weights of f_S."""
        return self.path / "source_classifier.safetensors"

    @property
    def trials_table(self) -> Path:
        """One row per trial."""
        return self.path / "trials.parquet"

    @property
    def epochs_table(self) -> Path:
        """One row per trial and epoch."""
        return self.path / "epochs.parquet"

    @property
    def source_classifiers(self) -> Path:
        """Cache of source classifiers, shared by the searches next to this one."""
        return self.path.parent / ".cache"

    def inspection(self, identity: str) -> Path:
        """Return the file of what `inspect` found in data; searches of the same data share it.

        Args:
            identity: digest of the identity of the data.
        """
        return inspection_file(self.path.parent, identity)

    @property
    def has_progress(self) -> bool:
        """True if the folder holds anything of a search that a user would miss."""
        return self.journal.exists() or (self.path / "trials").exists()

    @property
    def has_begun(self) -> bool:
        """True if the search has a study, because it has written what follows its creation."""
        return self.splits.exists() or (self.path / "trials").exists()

    @property
    def shared_path(self) -> Path | None:
        """Path that all nodes must see; None if they share an object store instead."""
        return self.path if self.remote is None else None

    def scratch(self, *parts: str) -> str:
        """Return a path or URI that all nodes see, for Ray's own files; nothing reads them back."""
        return self._shared(".ray", *parts)

    def trial(self, number: int) -> Path:
        """Return the local folder of a trial."""
        return self.path / "trials" / str(number)

    def checkpoints(self, number: int) -> CheckpointFolder:
        """Return the checkpoints of a trial, in a place that all nodes see.

        Args:
            number: number of the trial; for those of a group, the number of its leader.
        """
        path = self._shared("trials", str(number), "checkpoints")
        return CheckpointFolder(path, keep=self.keep_checkpoints)

    def _shared(self, *parts: str) -> str:
        if self.remote is None:
            return str(self.path.joinpath(*parts))
        return join_uri(self.remote, *parts)


def results_folder(name: str, storage: StorageSpec) -> ResultsFolder:
    """Return the results folder of the search with this name."""
    remote = None
    if storage.remote is not None:
        remote = join_uri(storage.remote, name)
    path = Path(storage.out).resolve() / name
    return ResultsFolder(path, remote, storage.keep_checkpoints)


def inspection_file(out: Path, identity: str) -> Path:
    """Return the file of what `inspect` found in data.

    Args:
        out: the folder of all results.
        identity: digest of the identity of the data.
    """
    return out / ".cache" / f"inspection-{identity}.json"


def join_uri(uri: str, *parts: str) -> str:
    """Append parts to the path of a URI; options (`?endpoint_override=…`) stay at its end."""
    base, mark, options = uri.partition("?")
    return "/".join([base.rstrip("/"), *parts]) + mark + options


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old or the new text, never a part of it."""
    write_file(path, text.encode())


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file as `write_atomically` does, with the version of the format."""
    metadata = (table.schema.metadata or {}) | {FORMAT_KEY: str(FORMAT).encode()}
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    write_file(path, buffer.getvalue().to_pybytes())
