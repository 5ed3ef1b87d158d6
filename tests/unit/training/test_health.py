"""Each way in which a GAN fails, made by hand, and healthy trials for comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from support.tiny_trial import CPU, make_data, make_record, make_source_weights, make_spec
from torch import nn

from adaptune.data.image_set import in_memory
from adaptune.data.splits import TrialData
from adaptune.losses.gan import Kind, discriminator_loss
from adaptune.training import health, inference
from adaptune.training.checkpoint import CheckpointFolder
from adaptune.training.health import CHANCE, HealthMonitor, HealthProbe, diagnose
from adaptune.training.health_figures import (
    ImageMoments,
    brightness_drift,
    colour_correlations,
    diversity,
    label_flip,
)
from adaptune.training.loop import fit
from adaptune.training.loss_meter import LossMeter
from adaptune.training.record import EpochRecord, HealthReport

CLASSES = 4
LABELS = torch.arange(200) % CLASSES
SOURCE = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1  # dark
TARGET = SOURCE[:50].flip(0)
LOSSES = {"discriminator": 0.5, "cycle": 0.3}
LOWEST = {"cycle": 0.3}


def moments(images: torch.Tensor) -> ImageMoments:
    sums = ImageMoments()
    sums.add(images)
    return sums


def report(
    translated: torch.Tensor = SOURCE,
    predicted: torch.Tensor = LABELS,
    target: torch.Tensor = TARGET,
) -> HealthReport:
    p, flips = label_flip(LABELS, predicted, CLASSES)
    return HealthReport(
        diversity=diversity(moments(SOURCE), moments(translated)),
        colour_correlation=float(colour_correlations(SOURCE, translated).mean()),
        brightness_drift=brightness_drift(moments(SOURCE), moments(translated), moments(target)),
        flip_p=p,
        flips=flips,
    )


def symptom(health_report: HealthReport, **losses: float) -> str | None:
    return diagnose(health_report, LOSSES | losses, LOWEST, "lsgan")


def test_a_faithful_translation_is_healthy() -> None:
    assert symptom(report()) is None
    assert symptom(report(0.3 * SOURCE + 0.2)) is None


def test_a_generator_that_translates_all_images_to_one_has_collapsed() -> None:
    same = SOURCE[:1].expand_as(SOURCE)
    assert (
        symptom(report(same)) == "generator collapse: translations have 0% of the source's variety"
    )


def test_negatives_are_a_colour_inversion() -> None:
    assert (
        symptom(report(-SOURCE)) == "colour inversion: images and translations correlate by -1.00"
    )


def test_negatives_are_right_if_the_target_is_the_negative_of_the_source() -> None:
    negatives = report(-SOURCE, target=-TARGET)
    assert negatives.colour_correlation == pytest.approx(-1, abs=1e-5)
    assert symptom(negatives) is None


def test_classes_that_change_places_are_flipped() -> None:
    swapped = torch.tensor([1, 0, 2, 3])[LABELS]
    p, flips = label_flip(LABELS, swapped, CLASSES)
    assert p < 1e-20
    assert flips == "0 as 1, 1 as 0"
    assert str(symptom(report(predicted=swapped))).startswith(
        "label flip: f_S sees classes 0 as 1, 1 as 0 (p "
    )


def test_a_discriminator_that_is_always_right_has_won() -> None:
    healthy = report()
    assert (
        symptom(healthy, discriminator=0.001)
        == "discriminator win: its loss is 0.001, at chance 0.5"
    )
    assert diagnose(healthy, {"discriminator": 0.05}, {}, "log") is not None
    assert diagnose(healthy, {"discriminator": 0.05}, {}, "lsgan") is None
    assert diagnose(healthy, {"discriminator": 0.09}, {}, "hinge") is not None
    assert diagnose(healthy, {"discriminator": 0.11}, {}, "hinge") is None
    assert diagnose(healthy, {}, {}, "lsgan") is None


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_loss_at_chance_is_that_of_undecided_discriminators(kind: Kind) -> None:
    undecided = torch.full((2, 1, 4, 4), 0.5 if kind == "lsgan" else 0.0)
    loss = 2 * discriminator_loss(undecided, undecided, kind)
    assert CHANCE[kind] == pytest.approx(float(loss))


def test_a_loss_that_grows_tenfold_diverges() -> None:
    healthy = report()
    assert symptom(healthy, cycle=3.1) == "divergence: cycle is 3.1, it was 0.3"
    assert symptom(healthy, cycle=2.9) is None
    # A loss that is still below 1 is small, however much it has grown.
    assert diagnose(healthy, {"cycle": 0.9}, {"cycle": 0.001}, "lsgan") is None


def test_a_trial_with_the_same_symptom_twice_in_a_row_is_unhealthy() -> None:
    monitor = HealthMonitor("lsgan", {}, None)
    inverted = report(-SOURCE)
    sequence = (inverted, report(), inverted, inverted)
    reports = [monitor.update(one_epoch, LOSSES) for one_epoch in sequence]
    assert [item.unhealthy is not None for item in reports] == [False, False, False, True]
    assert [item.symptom is not None for item in reports] == [True, False, True, True]
    assert reports[-1].unhealthy == reports[-1].symptom


def test_two_different_symptoms_in_a_row_are_not_unhealthy() -> None:
    monitor = HealthMonitor("lsgan", {}, None)
    monitor.update(report(-SOURCE), LOSSES)
    collapsed = report(SOURCE[:1].expand_as(SOURCE))
    assert monitor.update(collapsed, LOSSES).unhealthy is None


def test_a_resumed_trial_remembers_its_last_symptom() -> None:
    last = replace(report(-SOURCE), symptom="colour inversion: …")
    monitor = HealthMonitor("lsgan", {}, replace(make_record(), health=last))
    assert monitor.update(report(-SOURCE), LOSSES).unhealthy is not None


def test_the_monitor_keeps_the_lowest_losses_current() -> None:
    lowest = {"cycle": 0.5}
    monitor = HealthMonitor("lsgan", lowest, None)
    monitor.update(report(), {"cycle": 0.7, "task": 2.0, "discriminator": 0.5})
    assert lowest == {"cycle": 0.5, "task": 2.0}
    monitor.update(report(), {"cycle": 0.2, "task": 3.0})
    assert lowest == {"cycle": 0.2, "task": 2.0}


def test_the_probe_measures_g_st_on_images_that_it_did_not_see_in_training() -> None:
    class FirstClass(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.eye(3)[torch.zeros(len(images), dtype=torch.long)]

    class Negative(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return -images

    probe = HealthProbe(make_data(), CPU)
    measured = probe.report(Negative(), FirstClass())
    assert measured.colour_correlation == pytest.approx(-1, abs=1e-5)
    assert measured.diversity == pytest.approx(1, abs=1e-5)
    assert (measured.flip_p, measured.flips) == (1.0, "")
    assert measured.symptom is None


class Renaming(nn.Module):
    """Predicts another name for each class of `sorted_by_class`, and keeps the true labels."""

    def __init__(self, names: torch.Tensor) -> None:
        super().__init__()
        self.names = names
        self.labels: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        labels = ((images[:, 0, 0, 0] + 1) * 127.5).round().long()
        self.labels.append(labels)
        return torch.eye(10)[self.names[labels]]


def sorted_by_class() -> TrialData:
    """Return 60 images of each of ten classes; the value of an image is its class."""
    labels = np.repeat(np.arange(10), 60)
    images = np.broadcast_to(labels[:, None, None, None], (600, 1, 16, 16)).astype(np.uint8)
    return replace(
        make_data(),
        source_val_images=in_memory(images),
        source_val_labels=labels,
        target_train_images=in_memory(images),
        class_names=tuple("abcdefghij"),
    )


def test_the_probe_covers_all_classes_of_data_that_is_sorted_by_class() -> None:
    classifier = Renaming(torch.arange(10))
    HealthProbe(sorted_by_class(), CPU).report(nn.Identity(), classifier)
    [probed] = classifier.labels
    assert len(probed) == health.PROBE_IMAGES
    assert set(torch.bincount(probed, minlength=10).tolist()) == {25, 26}


def test_the_probe_finds_a_flip_of_the_last_two_classes() -> None:
    flip = Renaming(torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 9, 8]))
    assert HealthProbe(sorted_by_class(), CPU).report(nn.Identity(), flip).flips == "8 as 9, 9 as 8"


def train(folder: Path, **options: Any) -> Iterator[EpochRecord]:
    spec = make_spec(**options)
    return fit(
        spec,
        make_data(),
        make_source_weights(spec),
        device=CPU,
        checkpoints=CheckpointFolder(str(folder)),
        health=True,
    )


def test_a_resumed_trial_remembers_its_lowest_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[dict[str, float]] = []

    def remember(_: object, losses: object, lowest: dict[str, float], gan_loss: str) -> None:
        compared.append(dict(lowest))

    monkeypatch.setattr(health, "diagnose", remember)
    rising = iter(range(1, 100))
    monkeypatch.setattr(LossMeter, "means", lambda _: {"cycle": float(next(rising))})

    list(train(tmp_path / "undisturbed"))
    undisturbed = compared.copy()
    compared.clear()
    rising = iter(range(1, 100))
    interrupted = train(tmp_path / "killed")
    for _ in range(2):
        next(interrupted)
    list(train(tmp_path / "killed"))
    assert compared == undisturbed == [{}] + 3 * [{"cycle": 1.0}]


def test_a_trial_reports_its_health_and_one_without_a_gan_does_not(tmp_path: Path) -> None:
    (with_gan,) = train(tmp_path / "with", epochs=1)
    assert with_gan.health is not None
    assert with_gan.health.diversity > 0
    off = dict.fromkeys(["adversarial", "cycle", "identity", "semantic"], 0.0)
    (without,) = train(tmp_path / "without", epochs=1, loss_weights=off)
    assert without.health is None


def test_the_figures_are_the_same_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    g_st = nn.Conv2d(1, 1, 3, padding=1)
    f_s = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, 10))
    whole = HealthProbe(sorted_by_class(), CPU).report(g_st, f_s)
    monkeypatch.setattr(inference, "MAX_BATCH", 7)
    parts = HealthProbe(sorted_by_class(), CPU).report(g_st, f_s)
    assert parts.diversity == pytest.approx(whole.diversity)
    assert parts.colour_correlation == pytest.approx(whole.colour_correlation)
    assert parts.brightness_drift == pytest.approx(whole.brightness_drift)
    assert (parts.flip_p, parts.flips) == (whole.flip_p, whole.flips)
