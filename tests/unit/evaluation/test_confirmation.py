"""What repeats under fresh seeds say, and what they are made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import make_search, simulate, smooth

from adaptune.evaluation import replication
from adaptune.evaluation.confirmation import (
    FULL,
    ablations,
    compare,
    table,
    top_settings,
    verdict,
    winner,
)
from adaptune.evaluation.replication import INFORMATION_ONLY, SOURCE_ONLY, SUPERVISED, Row, Setting
from adaptune.evaluation.test_scores import look
from adaptune.study import study as studies
from adaptune.study.storage import open_study


def rows(**tests: list[float]) -> list[Row]:
    names = {
        "ours": "ours",
        "source": SOURCE_ONLY,
        "information": INFORMATION_ONLY,
        "supervised": SUPERVISED,
    }
    return [
        Row(names.get(key, key), seed, accuracy, accuracy)
        for key, accuracies in tests.items()
        for seed, accuracy in enumerate(accuracies)
    ]


OURS = Setting("ours", {"loss_weights.task": 1.0, "loss_weights.cycle": 1.0})


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        ([0.9, 0.91, 0.92, 0.9, 0.93], "helps"),
        ([0.7, 0.72, 0.71, 0.7, 0.74], "hurts"),
        (
            [0.9, 0.7, 0.85, 0.76, 0.8],
            "not shown to help",
        ),  # on average above, but not beyond chance
        ([0.8, 0.81, 0.79, 0.8, 0.8], "not shown to help"),  # the very same
        ([0.9], "not shown to help"),  # one seed proves nothing
    ],
)
def test_the_word_is_a_paired_tests_over_seeds(ours: list[float], word: str) -> None:
    found = compare(rows(ours=ours, source=[0.8, 0.81, 0.79, 0.8, 0.8]), "ours", SOURCE_ONLY)
    assert found.word == word
    assert found.low <= found.mean <= found.high
    assert found.seeds == len(ours)


def test_pairs_are_of_one_seed_and_a_failed_trial_makes_none() -> None:
    known = [
        *rows(ours=[0.9, 0.8], source=[0.7, 0.7]),
        Row("ours", 2, None, None),
        Row(SOURCE_ONLY, 2, 0.1, 0.1),
    ]
    found = compare(known, "ours", SOURCE_ONLY)
    assert (found.seeds, found.mean) == (2, pytest.approx(0.15))
    assert compare(known, "nobody", SOURCE_ONLY).word == "not shown to help"


def test_the_verdict_names_all_rivals_and_their_margins() -> None:
    said = verdict(
        rows(ours=[0.9, 0.91, 0.92], source=[0.8, 0.8, 0.8], information=[0.9, 0.92, 0.91]), OURS
    )
    first, second, third = said.splitlines()
    assert first.startswith(
        "ours: helps, against source only: +11.0 points on the test (+8.5 to +13.5, 95%; p "
    )
    assert second.startswith(
        "ours: not shown to help, against information only: +0.0 points on the test ("
    )
    assert third.startswith("ours: not shown to help, against no GAN: ")


def test_a_setting_that_adapts_nothing_is_not_said_to_help_whatever_it_gains() -> None:
    nothing = Setting(
        "ours",
        {"loss_weights.task": 1.0, "loss_weights.cycle": 0.0, "loss_weights.information": 0.0},
    )
    said = verdict(
        rows(ours=[0.9, 0.91, 0.92], source=[0.8, 0.8, 0.8], information=[0.7, 0.7, 0.71]), nothing
    )
    assert said.startswith("ours: not shown to help: every weight but task is 0")
    assert "helps" not in said
    assert "against source only: +11.0 points" in said


def test_target_val_chooses_among_settings_and_the_test_does_not() -> None:
    settings = [Setting("a", {}), Setting("b", {})]
    known = [Row("a", 0, 0.9, 0.1), Row("b", 0, 0.8, 0.99), Row("b", 1, None, None)]
    assert winner(known, settings).name == "a"


def test_the_table_has_means_and_standard_errors_with_the_yardstick_last() -> None:
    found = table(rows(supervised=[1.0], ours=[0.8, 0.9]))
    assert found[0] == ("ours", 2, pytest.approx(0.85), pytest.approx(0.05))
    assert found[1] == (SUPERVISED, 1, 1.0, None)


def test_the_top_settings_differ_and_hold_every_weight(tmp_path: Path) -> None:
    spec = make_search(search={"trials": 6}, training={"epochs": 1})
    study = simulate(spec, str(tmp_path / "journal"), smooth)
    found = top_settings(spec, study, 3)
    best = studies.best_trial(study)
    assert best is not None
    assert len(found) == 3
    assert found[0].name.startswith(f"trial {best.number}: cycle=")
    assert found[0].values["loss_weights.cycle"] == best.params["loss_weights.cycle"]
    assert found[0].values["loss_weights.semantic"] == 1.0  # as fixed in the spec


def test_an_ablation_that_takes_nothing_away_is_left_out() -> None:
    spec = make_search()
    found = {
        setting.name: setting.values for setting in ablations(spec, {"loss_weights.cycle": 3.0})
    }
    assert list(found) == [
        FULL,
        "pixel only",
        "feature only",
        "no cycle",
        "no semantic",
        "no feature",
    ]
    assert found["no cycle"]["loss_weights.cycle"] == 0
    assert found["pixel only"]["loss_weights.feature"] == 0
    assert found["pixel only"]["loss_weights.cycle"] == 3.0
    assert found["feature only"]["loss_weights.adversarial"] == 0


def test_a_seeds_search_runs_each_setting_once_in_order(tmp_path: Path) -> None:
    spec = make_search(search={"metric": "infomax", "warm_start": ["elsewhere"]})
    settings = ablations(spec, {"loss_weights.cycle": 3.0, "loss_weights.identity": 1.0})
    ours = replication._spec_of_seed(spec, settings, 7, tmp_path)
    assert (ours.name, ours.seed, ours.search.trials) == ("seed-7", 7, len(settings))
    study = simulate(ours, str(tmp_path / "journal"), flat)
    for setting, trial in zip(settings, study.trials, strict=True):
        values = ours.trial(trial.params).loss_weights.model_dump()
        assert {f"loss_weights.{term}": value for term, value in values.items()} == dict(
            setting.values
        )
    assert all(len(studies.curve(trial)) == ours.epochs for trial in study.trials)
    alone = replication._spec_of_seed(spec, settings[:1], 7, tmp_path)
    assert (alone.space, alone.search.start_points, alone.loss_weights.cycle) == ({}, (), 3.0)


def flat(values: dict[str, float], epoch: int) -> float:
    return 0.5


def test_a_model_is_scored_on_the_sealed_test_once_and_the_looks_are_counted(
    tmp_path: Path,
) -> None:
    study = open_study(make_search(), str(tmp_path / "journal"))
    asked: list[str] = []

    def score(name: str) -> dict[str, float]:
        asked.append(name)
        return {"adapted": 0.9}

    assert look(study, "trial 1, epoch 2", lambda: score("first")) == ({"adapted": 0.9}, 1)
    again = open_study(make_search(), str(tmp_path / "journal"))
    assert look(again, "trial 1, epoch 2", lambda: score("again")) == ({"adapted": 0.9}, 1)
    assert look(again, "trial 3, epoch 9", lambda: score("second")) == ({"adapted": 0.9}, 2)
    assert asked == ["first", "second"]
    (first, second) = (
        value for key, value in again.user_attrs.items() if key.startswith("sealed:")
    )
    assert first["time"] <= second["time"]


def test_a_look_that_was_cut_off_counts(tmp_path: Path) -> None:
    study = open_study(make_search(), str(tmp_path / "journal"))

    def cut_off() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(study, "trial 1, epoch 2", cut_off)
    assert look(study, "trial 1, epoch 2", lambda: {"adapted": 0.9}) == ({"adapted": 0.9}, 2)
