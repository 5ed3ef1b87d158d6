from __future__ import annotations

import pytest
from pydantic import ValidationError

from adaptune.spec.training import TrainingSpec


@pytest.mark.parametrize("labels", [True, "true"])
def test_the_boolean_that_yaml_makes_of_true_names_the_true_labels(labels: object) -> None:
    assert TrainingSpec.model_validate({"semantic_labels": labels}).semantic_labels == "true"


@pytest.mark.parametrize(
    "tree",
    [
        {"semantic_labels": False},
        {"semantic_labels": 1},
        {"epochs": 0},
        {"generator_lr": 0},
        {"generator_lr": 1.5},
        {"beta2": 1},
        {"semantic_gate": 0},
        {"lr_decay_from": 1.1},
        {"ema_decay": 1},
        {"augment": {"rotate": 46}},
        {"augment": {"flip": True}},
        {"source": {"steps": 0}},
        {"source": {"optimizer": "rmsprop"}},
        {"source": {"label_smoothing": 1}},
        {"source": {"momentum": 1}},
        {"classifier_optimizer": "lamb"},
        {"classifier_weight_decay": -0.1},
        {"backbone_lr_factor": 1.1},
        {"classifier_schedule": "cosine"},
        {"classifier_beta1": 1},
        {"classifier_from": 1},
        {"confusion_temperature": 0},
    ],
)
def test_training_that_makes_no_sense_is_refused(tree: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingSpec.model_validate(tree)


def test_the_ends_of_closed_ranges_are_allowed() -> None:
    tree = {"generator_lr": 1, "lr_decay_from": 1, "feature_gate": 0, "ema_decay": 0}
    assert TrainingSpec.model_validate(tree).lr_decay_from == 1


@pytest.mark.parametrize(("unit", "workers", "images"), [("images", 2, 50), ("batches", 2, 1600)])
def test_a_pool_counts_images_or_batches_of_its_worker(
    unit: str, workers: int, images: int
) -> None:
    tree = {"pool_size": 50, "pool_unit": unit, "batch_size": 64}
    assert TrainingSpec.model_validate(tree).pool_images(workers) == images
