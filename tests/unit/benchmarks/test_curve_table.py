from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curve_design import Design
from curve_table import ACCURACY, LOSS, Recipe, merge_curves, read_curves, read_recipe, write_curves
from support.recorded_curves import EPOCHS, IMAGES, OVERRIDES, make_recipe, write_recorded

from adaptune.spec import load_spec

KEPT = Path(__file__).parents[3] / "benchmarks" / "curves"


def test_curves_survive_writing(tmp_path: Path) -> None:
    curves = read_curves(write_recorded(tmp_path / "curves.parquet", groups=2, seeds=2))
    assert curves.seeds.tolist() == [0] * 8 + [1] * 8
    assert curves.groups.tolist() == ([0] * 4 + [1] * 4) * 2
    assert curves.trials.tolist() == [0, 1, 2, 3] * 4
    assert curves.accuracies.shape == (16, EPOCHS)
    assert curves.losses == pytest.approx(1 - curves.accuracies, abs=1e-6)
    assert set(curves.values[0]) == set(curves.recipe.spec().space)
    assert curves.values[:8] == curves.values[8:]
    assert curves.failed == 0
    assert curves.classifier_share == pytest.approx((5 - 2) / 3 / 2)  # four trials, one alone
    assert curves.of_seed(1).values == curves.values[8:]


def test_a_recipe_has_what_trials_have_in_common_and_no_places(tmp_path: Path) -> None:
    overrides = [*OVERRIDES, f"data.root={tmp_path}", f"data.cache={tmp_path}", "seed=5"]
    elsewhere = Recipe.of(load_spec("mnist_optdigits.yaml", overrides), IMAGES)
    assert elsewhere.to_json() == make_recipe().to_json()
    assert str(tmp_path) not in elsewhere.to_json()
    spec = elsewhere.spec()
    assert (spec.epochs, spec.seed) == (EPOCHS, 0)
    assert spec.space == load_spec("mnist_optdigits.yaml", OVERRIDES).space
    assert spec.trial({}) == load_spec("mnist_optdigits.yaml", OVERRIDES).trial({})


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.parquet")), ids=lambda path: path.stem)
def test_kept_curves_fill_their_space_and_are_small(path: Path) -> None:
    curves = read_curves(path)
    design = Design(curves.recipe.spec().space, group_size=8)
    first_seed = curves.of_seed(0)
    assert set(first_seed.groups.tolist()) == set(range(24))
    assert first_seed.values[:8] == [pytest.approx(values) for values in design.group(0)]
    assert set(curves.seeds.tolist()) == {0, 1, 2}
    assert path.stat().st_size < 300_000


def test_parts_of_one_recipe_become_one_file(tmp_path: Path) -> None:
    recipe = make_recipe()
    rows = pq.read_table(write_recorded(tmp_path / "all.parquet", groups=2)).to_pylist()
    halves = [tmp_path / "second.parquet", tmp_path / "first.parquet"]
    write_curves(halves[0], recipe, [row for row in rows if row["group"] == 1])
    write_curves(halves[1], recipe, [row for row in rows if row["group"] == 0])
    merge_curves(halves, tmp_path / "merged.parquet")
    assert pq.read_table(tmp_path / "merged.parquet").to_pylist() == rows
    assert read_recipe(tmp_path / "merged.parquet") == recipe


def test_parts_of_different_recipes_are_refused(tmp_path: Path) -> None:
    write_recorded(tmp_path / "first.parquet", groups=1)
    other = Recipe(make_recipe().tree, IMAGES + 1)
    write_curves(tmp_path / "second.parquet", other, [{"seed": 0}])
    with pytest.raises(ValueError, match=r"second\.parquet has other settings"):
        merge_curves([tmp_path / "first.parquet", tmp_path / "second.parquet"], tmp_path / "x")


def test_trials_that_failed_are_counted_and_left_out(tmp_path: Path) -> None:
    path = write_recorded(tmp_path / "curves.parquet", groups=1)
    rows = pq.read_table(path).to_pylist()
    ended = [row for row in rows if row["trial"] != 1 or row["epoch"] < 3]
    for row in ended:
        if row["trial"] == 2 and row["epoch"] == EPOCHS:
            row |= {ACCURACY: None, LOSS: None}
    write_curves(path, make_recipe(), ended)
    curves = read_curves(path)
    assert curves.trials.tolist() == [0, 3]
    assert curves.failed == 2


def test_another_parquet_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="has no curves"):
        read_curves(tmp_path / "other.parquet")
