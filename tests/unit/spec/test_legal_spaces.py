"""Whatever a search space file may search, its trials can be written to the tables."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pyarrow import parquet
from support.fake_search import make_search, simulate

from adaptune.errors import SpecError
from adaptune.results.folder import ResultsFolder
from adaptune.spec import SearchSpec, load_spec
from adaptune.spec.base import fields_along
from adaptune.spec.schema import SEARCHABLE_PATHS, TrialSpec
from adaptune.study.storage import open_study
from adaptune.study.tables import write_tables
from adaptune.study.trial import TrialPlacement

HEAD = """\
name: small
data: {source: {domain: a, size: 32}, target: {domain: b, size: 32}}
training: {epochs: 2}
search: {trials: 6, sampler: random, scheduler: none}
"""
NUMBERS = (0, 1, 2, 3, 4, 0.0, 0.25, 0.5, 0.9, 1.0, 1.5, 8, 30.0, 1e-3, 1e-300, 1e300, 2**53 + 1)


FIELDS = {path: fields_along(path, TrialSpec)[-1].annotation for path in SEARCHABLE_PATHS}


def random_distribution(annotation: object, randomness: random.Random) -> dict[str, object]:
    """Return a distribution that the field may allow."""
    values: list[object] = [True, False]
    if get_origin(annotation) is Literal:
        values = [*get_args(annotation)]
        if "true" in values:
            values.append(True)
    elif annotation is not bool:
        values = [*NUMBERS, *([None] if type(None) in get_args(annotation) else [])]
        kind = randomness.choice(["uniform", "loguniform", "int", "choice"])
        if kind != "choice":
            low, high = randomness.choices(NUMBERS, k=2)
            return {"search": kind, "low": low, "high": high}
    count = randomness.randint(1, min(4, len(values)))
    return {"search": "choice", "values": randomness.sample(values, count)}


def random_search(folder: Path, randomness: random.Random) -> SearchSpec:
    """Return a search of some fields; distributions that the fields refuse are left out."""
    file = folder / "space.yaml"
    file.write_text(HEAD, encoding="utf-8")
    overrides: list[str] = []
    for path in randomness.sample(sorted(FIELDS), k=8):
        for _ in range(6):
            distribution = random_distribution(FIELDS[path], randomness)
            override = f"{path}={json.dumps(distribution)}"
            try:
                load_spec(file, [*overrides, override])
            except SpecError:
                continue
            overrides.append(override)
            break
    return load_spec(file, overrides)


def written_rows(spec: SearchSpec, folder: Path) -> list[dict[str, object]]:
    """Simulate the search, and return the rows of its trials; each must have the trial's values."""
    results = ResultsFolder(folder / "results")
    results.path.mkdir()
    study = simulate(spec, folder / "journal", lambda values, epoch: 0.5)
    write_tables(study, results, TrialPlacement("in_process", 1))
    rows = parquet.read_table(results.trials_table).to_pylist()
    for row, trial in zip(rows, study.started_trials(), strict=True):
        assert row["number"] == trial.number
        assert json.loads(row["params"]) == trial.values
        for path, value in trial.values.items():
            assert row[path] == value
    return rows


@pytest.mark.parametrize("seed", range(12))
def test_the_trials_of_every_legal_space_are_written_to_the_tables(
    tmp_path: Path, seed: int
) -> None:
    spec = random_search(tmp_path, random.Random(seed))
    assert spec.space
    assert len(written_rows(spec, tmp_path)) == 6


def test_a_choice_of_a_text_and_a_truth_value_is_written_as_text(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(HEAD, encoding="utf-8")
    choice = "{search: choice, values: [predicted, true]}"
    spec = load_spec(file, [f"training.semantic_labels={choice}", "search.trials=12"])
    labels = {row["training.semantic_labels"] for row in written_rows(spec, tmp_path)}
    assert labels == {"predicted", "true"}


def test_the_error_of_a_trial_is_written_whatever_its_characters(tmp_path: Path) -> None:
    study = open_study(make_search(), tmp_path / "journal")
    message = "a file name of bytes \udc80,\n\x1b[2J and [/tmp/a.cc:1]"
    study.tell_result(study.ask(), epochs=2, error=message, wall_s=1.0)
    write_tables(study, ResultsFolder(tmp_path), TrialPlacement("in_process", 1))
    (row,) = parquet.read_table(ResultsFolder(tmp_path).trials_table).to_pylist()
    assert row["error"] == "a file name of bytes \\udc80,\n\\x1b[2J and [/tmp/a.cc:1]"
