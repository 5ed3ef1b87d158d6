"""The settings that are marked as those of f_T and D_feat only change nothing of the GAN."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from support.tiny_trial import WITH_MEMORY, make_images, make_spec, make_state

from adaptune.spec.base import OnlyIn, fields_along
from adaptune.spec.schema import SEARCHABLE_PATHS, TrialSpec
from adaptune.spec.sharing import is_classifier_side
from adaptune.spec.tree import put
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.networks import CLASSIFIER_SIDE
from adaptune.training.state import SHARED, TrainingState

Value = float | str | None
# A value that differs from that of `first_trial`, by path.
CHANGES: dict[str, Value] = {
    "loss_weights.task": 3.0,
    "loss_weights.task_target": 0.0,
    "loss_weights.feature": 2.0,
    "loss_weights.information": 0.0,
    "loss_weights.confusion": 2.0,
    "loss_weights.consistency": 2.0,
    "training.classifier_lr": 0.001,
    "training.classifier_optimizer": "adam",
    "training.classifier_weight_decay": 0.5,
    "training.classifier_momentum": 0.1,
    "training.feature_discriminator_lr": 0.1,
    "training.classifier_beta1": 0.9,
    "training.classifier_from": 0.5,
    "training.freeze_head": True,
    "training.task_images": "both",
    "training.fourier_beta": 0.2,
    "training.feature_gate": 1.0,
    "training.confusion_temperature": 1.0,
    "training.consistency.threshold": 1.0,
    "training.consistency.mask": 0.0,
    "training.consistency.mask_grid": 2,
    "training.classifier_ema_decay": 0.01,
    "model.feature_discriminator.width": 12,
}
# Settings of the GAN, to see that a change of it would be noticed.
GAN_CHANGES: dict[str, Value] = {
    "loss_weights.cycle": 3.0,
    "loss_weights.semantic": 0.0,
    "loss_weights.gradient_penalty": 1.0,
    "training.generator_lr": 0.001,
    "training.discriminator_lr": 0.001,
    "training.beta1": 0.9,
    "training.gan_loss": "log",
    "training.target_to_source.adversarial": 0.5,
    "training.target_to_source.cycle": 0.0,
    "training.target_to_source.semantic": 0.0,
    "training.batch_size": 6,
    "training.pool_size": 0,
    "training.pool_unit": "batches",
    "training.ema_decay": 0.0,
    "training.gan_augment.flip": 0.0,
    "training.d_augment.contrast": 0.5,
    "training.semantic_gate": None,
    "model.generator.width": 8,
}
UPDATES = 2


def applies(path: str, method: str) -> bool:
    if path == "training.classifier_beta1" and method == "cyclegan":
        return False  # f_T has no Adam here, and D_feat is not trained
    fields = fields_along(path, TrialSpec)
    items = [item for field in fields for item in field.metadata if isinstance(item, OnlyIn)]
    return all(item.method == method for item in items)


CASES = [
    (method, path) for method in ("cycada", "cyclegan") for path in CHANGES if applies(path, method)
]


def trained(method: str, *, gate: float | None = None, **changes: Value) -> TrainingState:
    """Return the state of a trial with these changes, after some updates."""
    memory: dict[str, Any] = WITH_MEMORY | {"feature_gate": 0.0, "pool_size": 3}
    spec = make_spec(
        method=method,
        dropout=0.3,
        train_labels=2,
        loss_weights={"task_target": 1.0, "confusion": 1.0, "consistency": 1.0},
        consistency={"threshold": 0.0, "mask": 0.5},
        classifier_optimizer="sgd",
        classifier_lr=0.05,
        steps_per_epoch=UPDATES,
        **memory | {"semantic_gate": gate},
    )
    tree = spec.model_dump()
    for path, value in changes.items():
        put(tree, path, value)
    state = make_state(TrialSpec.model_validate(tree))
    trainer = EpochTrainer(state.spec, make_images(state.spec, state), None)
    assert trainer.train(1, [Member(state)])
    assert state.step == UPDATES
    return state


@cache
def first_trial(method: str, gate: float | None = None) -> TrainingState:
    return trained(method, gate=gate)


def gan(state: TrainingState) -> dict[str, Any]:
    """Everything but f_T and D_feat: networks, optimizers, averages, pools and the gate."""
    return state.state_dict(without=CLASSIFIER_SIDE) | {"pools": state.pools_state()}


def classifiers(state: TrainingState) -> dict[str, Any]:
    """The weights of f_T and D_feat, and their averages."""
    parts = state.state_dict(without=SHARED)
    return {"networks": parts["networks"], "averages": parts["averages"]}


def is_equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    try:
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    except AssertionError:
        return False
    return True


def test_every_setting_of_the_classifier_side_is_checked() -> None:
    assert set(CHANGES) == {path for path in SEARCHABLE_PATHS if is_classifier_side(path)}


@pytest.mark.parametrize(("method", "path"), CASES)
def test_a_setting_of_the_classifier_side_leaves_the_gan_as_it_is(method: str, path: str) -> None:
    first = first_trial(method)
    second = trained(method, **{path: CHANGES[path]})
    torch.testing.assert_close(gan(first), gan(second), rtol=0, atol=0)
    assert not is_equal(classifiers(first), classifiers(second))


@pytest.mark.parametrize("path", GAN_CHANGES)
def test_a_setting_of_the_gan_changes_it(path: str) -> None:
    assert not is_classifier_side(path)
    gate = 100.0 if path == "training.semantic_gate" else None
    first = first_trial("cycada", gate)
    second = trained("cycada", gate=gate, **{path: GAN_CHANGES[path]})
    assert not is_equal(gan(first), gan(second))
