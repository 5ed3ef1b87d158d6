"""Options of training that run different code, by name; see `tiny_trial.make_spec`."""

from __future__ import annotations

from typing import Any

from support.augmentations import ALL_OF_GREY
from support.tiny_trial import WITH_MEMORY

OPTIONS: dict[str, dict[str, Any]] = {
    "everything with a memory": WITH_MEMORY | {"generator": "resnet"},
    "cyclegan": {
        "method": "cyclegan",
        "gan_loss": "hinge",
        "d_augment": {"brightness": 0.5, "contrast": 0.5, "shift": 0.125, "cutout": 0.3},
        "accumulate": 2,
    },
    "a teacher": {
        "loss_weights": {"confusion": 2, "consistency": 2},
        "consistency": {"threshold": 0.36, "mask": 0.5},
        "classifier_ema_decay": 0.9,
        "semantic_target_labels": "adapted",
        "semantic_confidence": 0.4,
    },
    "augmented": {"augment": ALL_OF_GREY, "gan_augment": {"flip": 0.5, "enlarge": 1.2}},
    "both kinds of images": {"task_images": "both", "fourier_beta": 0.2},
    "labelled target images": {"train_labels": 2, "loss_weights": {"task_target": 1}},
    "a large classifier": {"classifier": "dtn", "size": 32},
}
