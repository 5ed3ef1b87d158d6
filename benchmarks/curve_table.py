"""Recorded learning curves, as a Parquet file with one row per trial and epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from adaptune.curves.kernel import Array
from adaptune.files import write_file
from adaptune.spec.distributions import Value
from adaptune.spec.schema import SearchSpec, TrialSpec
from adaptune.spec.tree import put

Row = Mapping[str, object]

ACCURACY = "target_val_accuracy"
LOSS = "target_val_loss"
KEYS = {"seed": pa.int16(), "group": pa.int16(), "trial": pa.int16(), "epoch": pa.int16()}
# CPU seconds of an epoch: `group_s` trains all trials of the group, `alone_s` one of them without
# the others, in the first epoch, and `eval_s` evaluates the trial of the row.
MEASURED = dict.fromkeys((ACCURACY, LOSS, "group_s", "alone_s", "eval_s"), pa.float32())
_METADATA_KEY = b"adaptune_curves"


@dataclass(frozen=True)
class Recipe:
    """All that the trials of a table have in common.

    Attributes:
        tree: the fields of the search space file that are not at their defaults, with the
            distributions.
        images: number of images of target_val.
    """

    tree: Mapping[str, Any]
    images: int

    @classmethod
    def of(cls, spec: SearchSpec, images: int) -> Recipe:
        """Return the recipe of a search, without its name, its places and its seed."""
        sections = set(TrialSpec.model_fields) - {"seed"}
        places = {"root", "cache", "resident_gb"}
        tree = spec.model_dump(
            mode="json", include=sections, exclude={"data": places}, exclude_defaults=True
        )
        for path, distribution in spec.space.items():
            put(tree, path, distribution.model_dump(mode="json", exclude_defaults=True))
        return cls(tree, images)

    def spec(self) -> SearchSpec:
        """Return a search with this recipe."""
        return SearchSpec.model_validate({"name": "recorded", **self.tree})

    def to_json(self) -> str:
        """Return the recipe as text that is equal for equal recipes."""
        return json.dumps({"tree": self.tree, "images": self.images}, sort_keys=True)


def write_curves(path: Path, recipe: Recipe, rows: Sequence[Row]) -> None:
    """Write rows with the columns of `KEYS`, of the searched values and of `MEASURED`.

    Raises:
        OSError: the file cannot be written.
    """
    columns = {}
    for row in rows:
        for name in row:
            columns[name] = {**KEYS, **MEASURED}.get(name)
    arrays = {}
    for name, kind in columns.items():
        arrays[name] = pa.array([row.get(name) for row in rows], type=kind)
    _write(path, pa.table(arrays).replace_schema_metadata({_METADATA_KEY: recipe.to_json()}))


def _write(path: Path, table: pa.Table) -> None:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    write_file(path, buffer.getvalue().to_pybytes())


def read_recipe(path: Path) -> Recipe:
    """Return the recipe of a file of curves.

    Raises:
        ValueError: it is a Parquet file of something else.
    """
    metadata = pq.read_schema(path).metadata or {}
    if _METADATA_KEY not in metadata:
        raise ValueError(f"{path} has no curves: give a file that record_curves.py wrote")
    return Recipe(**json.loads(metadata[_METADATA_KEY]))


def merge_curves(parts: Sequence[Path], path: Path) -> None:
    """Write the curves of several files with the same recipe to one file.

    Raises:
        ValueError: the recipes differ.
    """
    recipe = read_recipe(parts[0])
    for part in parts[1:]:
        if read_recipe(part).to_json() != recipe.to_json():
            raise ValueError(f"{part} has other settings than {parts[0]}: record them apart")
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    _write(path, table.sort_by([(key, "ascending") for key in KEYS]))


@dataclass(frozen=True)
class Curves:
    """The curves of T trials over E epochs that trained to their end.

    Attributes:
        recipe: what they have in common.
        seeds: seeds, (T,).
        groups: numbers of the groups, (T,). The trials of a group share a GAN under each seed.
        trials: numbers of the trials within their groups, (T,).
        values: searched values of each trial, by dotted path.
        accuracies: accuracies on target_val, (T, E).
        losses: mean cross-entropies on target_val in nats, (T, E).
        classifier_share: share of f_T in the time of an epoch of a single trial; the median of the
            groups, and 0 for groups of one.
        failed: number of trials that failed, which are left out.
    """

    recipe: Recipe
    seeds: NDArray[np.int64]
    groups: NDArray[np.int64]
    trials: NDArray[np.int64]
    values: list[dict[str, Value]]
    accuracies: Array
    losses: Array
    classifier_share: float
    failed: int

    @property
    def epochs(self) -> int:
        """Number of epochs, E."""
        return self.accuracies.shape[1]

    def of_seed(self, seed: int) -> Curves:
        """Return the trials of one seed."""
        return self.where(self.seeds == seed)

    def where(self, mask: NDArray[np.bool_]) -> Curves:
        """Return the trials that a mask (T,) is true for."""
        return replace(
            self,
            seeds=self.seeds[mask],
            groups=self.groups[mask],
            trials=self.trials[mask],
            values=[self.values[index] for index in np.flatnonzero(mask)],
            accuracies=self.accuracies[mask],
            losses=self.losses[mask],
        )


def read_curves(path: Path) -> Curves:
    """Return the curves of a file.

    Raises:
        ValueError: it is a Parquet file of something else.
    """
    recipe = read_recipe(path)
    epochs = recipe.spec().epochs
    by_trial: dict[tuple[int, int, int], list[dict[str, Any]]] = {}
    all_rows = pq.read_table(path).to_pylist()
    for row in all_rows:
        by_trial.setdefault((row["seed"], row["group"], row["trial"]), []).append(row)
    complete = {}
    for key, rows in by_trial.items():
        if len(rows) == epochs and all(row[ACCURACY] is not None for row in rows):
            complete[key] = rows
    space = recipe.spec().space
    values = []
    for rows in complete.values():
        values.append({name: rows[0][name] for name in space if rows[0].get(name) is not None})
    keys = np.array(list(complete), dtype=np.int64).reshape(-1, 3)
    return Curves(
        recipe,
        *keys.T,
        values,
        _cells(complete.values(), ACCURACY),
        _cells(complete.values(), LOSS),
        _classifier_share(all_rows),
        len(by_trial) - len(complete),
    )


def _cells(trials: Any, name: str) -> Array:
    return np.array([[row[name] for row in rows] for rows in trials], dtype=np.float64)


def _classifier_share(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the share of f_T from the first epochs of the groups, with and without the others."""
    groups: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["epoch"] == 1:
            groups.setdefault((row["seed"], row["group"]), []).append(row)
    shares = []
    for first_epoch in groups.values():
        others = len(first_epoch) - 1
        if others:
            row = first_epoch[0]
            shares.append((row["group_s"] - row["alone_s"]) / others / row["alone_s"])
    return float(np.median(shares)) if shares else 0.0
