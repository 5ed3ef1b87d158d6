"""Each way in which a GAN goes wrong, made by hand, and healthy trials beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_trial import CPU, make_data, make_source_weights, make_spec

from adaptune.training import health, loop
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.health import (
    HealthMonitor,
    colour_correlation,
    diagnose,
    diversity,
    label_flip,
    signs,
)
from adaptune.training.loop import Record, fit

CLASSES = 4
LABELS = torch.arange(200) % CLASSES
SOURCE = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1  # dark
TARGET = SOURCE[:50].flip(0)


def record(
    translated: torch.Tensor = SOURCE, seen: torch.Tensor = LABELS, **losses: float
) -> dict[str, Any]:
    named = {
        f"loss/{term}": value
        for term, value in ({"discriminator": 0.5, "cycle": 0.3} | losses).items()
    }
    return named | signs(SOURCE, translated, TARGET, LABELS, seen, CLASSES)


def said(found: dict[str, Any]) -> str | None:
    return diagnose(found, {"loss/cycle": 0.3}, "lsgan")


def test_a_faithful_translation_is_healthy() -> None:
    assert said(record()) is None
    assert diversity(SOURCE, SOURCE) == pytest.approx(1)
    assert colour_correlation(SOURCE, 0.3 * SOURCE + 0.2) == pytest.approx(1, abs=1e-5)


def test_a_generator_that_makes_one_image_of_all_has_collapsed() -> None:
    one = SOURCE[:1].expand_as(SOURCE)
    assert diversity(SOURCE, one) == pytest.approx(0)
    assert (
        str(said(record(one))) == "generator collapse: translations have 0% of the source's variety"
    )


def test_negatives_are_a_colour_inversion() -> None:
    assert colour_correlation(SOURCE, -SOURCE) == pytest.approx(-1, abs=1e-5)
    assert (
        str(said(record(-SOURCE))) == "colour inversion: images and translations correlate by -1.00"
    )


def test_negatives_are_right_where_the_target_is_the_sources_negative() -> None:
    found = {"loss/cycle": 0.3} | signs(SOURCE, -SOURCE, -TARGET, LABELS, LABELS, CLASSES)
    assert found["health/colour_correlation"] == pytest.approx(-1, abs=1e-5)
    assert said(found) is None


def test_classes_that_change_places_are_flipped() -> None:
    swapped = torch.tensor([1, 0, 2, 3])[LABELS]
    p, flips = label_flip(LABELS, swapped, CLASSES)
    assert p < 1e-20
    assert flips == "0 as 1, 1 as 0"
    assert str(said(record(seen=swapped))).startswith(
        "label flip: f_S sees classes 0 as 1, 1 as 0 (p "
    )


@pytest.mark.parametrize("classes", [4, 10, 31, 65])
def test_guesses_are_no_flip(classes: int) -> None:
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(256) % classes
    guesses = [torch.randint(classes, (256,), generator=draw) for _ in range(100)]
    assert min(label_flip(labels, seen, classes)[0] for seen in guesses) > 1e-4


def test_two_of_many_classes_that_change_places_are_found() -> None:
    labels = torch.arange(256) % 10
    swapped = torch.where(labels == 4, 9, torch.where(labels == 9, 4, labels))
    p, flips = label_flip(labels, swapped, 10)
    assert (p < 1e-10, flips) == (True, "4 as 9, 9 as 4")


def test_confusion_and_a_dead_classifier_are_no_flip() -> None:
    assert label_flip(LABELS, torch.zeros_like(LABELS), CLASSES) == (1.0, "")
    confused = torch.where(torch.arange(200) % 5 == 0, (LABELS + 1) % CLASSES, LABELS)
    assert label_flip(LABELS, confused, CLASSES)[0] == 1.0


def test_a_discriminator_that_is_always_right_has_won() -> None:
    assert (
        str(said(record(discriminator=0.001)))
        == "discriminator win: its loss is 0.001, at chance 0.5"
    )
    assert diagnose(record(discriminator=0.05), {}, "log") is not None
    assert diagnose(record(discriminator=0.05), {}, "lsgan") is None


def test_a_loss_that_grows_tenfold_diverges() -> None:
    assert str(said(record(cycle=3.1))) == "divergence: cycle is 3.1, it was 0.3"
    assert said(record(cycle=2.9)) is None


def test_sick_is_who_has_the_same_sign_twice_running() -> None:
    watch = HealthMonitor("lsgan", {}, None)
    found = [
        watch.look(one)["sick"]
        for one in (record(-SOURCE), record(), record(-SOURCE), record(-SOURCE))
    ]
    assert [sick is not None for sick in found] == [False, False, False, True]
    resumed = HealthMonitor("lsgan", {}, {"health/sign": "colour inversion: …"})
    assert resumed.look(record(-SOURCE))["sick"] is not None


def test_a_resumed_trial_remembers_its_lowest_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[dict[str, float]] = []
    monkeypatch.setattr(
        health, "diagnose", lambda record, lowest, gan_loss: compared.append(dict(lowest))
    )
    rising = iter(range(1, 100))
    monkeypatch.setattr(loop.LossMeter, "means", lambda _: {"loss/cycle": float(next(rising))})
    spec = make_spec(epochs=4)

    def train(folder: Path) -> Iterator[Record]:
        checkpoints = CheckpointFolder(str(folder))
        return fit(
            spec,
            make_data(),
            make_source_weights(spec),
            device=CPU,
            checkpoints=checkpoints,
            health=True,
        )

    list(train(tmp_path / "undisturbed"))
    undisturbed, rising = compared.copy(), iter(range(1, 100))
    compared.clear()
    interrupted = train(tmp_path / "killed")
    for _ in range(2):
        next(interrupted)
    list(train(tmp_path / "killed"))
    assert compared == undisturbed == [{}] + 3 * [{"loss/cycle": 1.0}]


def test_a_trial_reports_its_health_and_one_without_a_gan_does_not() -> None:
    spec = make_spec(epochs=1)
    (with_gan,) = fit(spec, make_data(), make_source_weights(spec), device=CPU, health=True)
    assert {"health/diversity", "health/sign", "sick"} <= with_gan.keys()
    off = dict.fromkeys(["adversarial", "cycle", "identity", "semantic"], 0.0)
    without = make_spec(epochs=1, loss_weights=off)
    (found,) = fit(without, make_data(), make_source_weights(without), device=CPU, health=True)
    assert not [key for key in found if key.startswith("health/")]
