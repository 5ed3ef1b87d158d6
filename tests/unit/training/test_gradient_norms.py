from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_trial import (
    CLASSES,
    CPU,
    make_data,
    make_images,
    make_source_weights,
    make_spec,
    make_state,
)
from torch import Tensor

from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.loop import fit
from adaptune.training.state import TrainingState, build_group

ALL = {"g_st", "g_ts", "d_s", "d_t", "f_t", "d_feat"}
TERMS: dict[str, Any] = {"loss_weights": {"feature": 0.5, "information": 0.5}}


def remember_gradients(state: TrainingState) -> dict[str, list[Tensor]]:
    """Return what the gradients of each network will be in each update, as one vector each."""
    gradients: dict[str, list[Tensor]] = {}

    def remember(optimizer: torch.optim.Optimizer, *_: object) -> None:
        updated = {id(value) for group in optimizer.param_groups for value in group["params"]}
        for name, network in state.networks.trained().items():
            parts = [
                value.grad.flatten()
                for value in network.parameters()
                if id(value) in updated and value.grad is not None
            ]
            if parts:
                gradients.setdefault(name, []).append(torch.cat(parts))

    for optimizer in state.optimizers.by_name().values():
        optimizer.register_step_pre_hook(remember)
    return gradients


def test_the_norms_are_those_of_the_last_update_of_an_epoch() -> None:
    spec = make_spec(**TERMS)
    member = Member(make_state(spec))
    gradients = remember_gradients(member.state)
    trainer = EpochTrainer(spec, make_images(spec, member.state), None)
    assert member.gradient_norms.values() == {}
    for epoch in (1, 2):
        assert trainer.train(epoch, [member])
        norms = member.gradient_norms.values()
        assert norms.keys() == ALL
        for name, norm in norms.items():
            updates = gradients[name]
            assert len(updates) == epoch * spec.training.steps_per_epoch
            assert norm == pytest.approx(updates[-1].norm().item(), rel=1e-5)
            assert norm != pytest.approx(updates[-2].norm().item(), rel=1e-5)


def test_other_updates_are_as_before() -> None:
    spec = make_spec(**TERMS)
    member = Member(make_state(spec))
    trainer = EpochTrainer(spec, make_images(spec, member.state), None)
    trainer.train(1, [member])
    norms = member.gradient_norms.values()
    trainer._update([member])  # the first one of the next epoch
    assert member.gradient_norms.values() == norms


def test_a_network_without_an_update_has_no_norm() -> None:
    spec = make_spec(loss_weights={"adversarial": 0.0, "feature": 0.0})
    member = Member(make_state(spec))
    EpochTrainer(spec, make_images(spec, member.state), None).train(1, [member])
    assert member.gradient_norms.values().keys() == {"g_st", "g_ts", "f_t"}


def test_the_trials_of_a_group_have_the_norms_of_their_gan_and_of_their_own_classifiers() -> None:
    specs = [make_spec(**TERMS), make_spec(loss_weights={"feature": 1.0, "information": 2.0})]
    states = build_group(specs, CLASSES, make_source_weights(specs[0]), CPU)
    members = [Member(state) for state in states]
    EpochTrainer(specs[0], make_images(specs[0], states[0]), None).train(1, members)
    first, second = (member.gradient_norms.values() for member in members)
    assert first.keys() == second.keys() == ALL
    different = {name for name in ALL if first[name] != second[name]}
    assert different == {"f_t", "d_feat"}


def test_a_record_has_the_norms_as_figures() -> None:
    spec = make_spec(epochs=1, **TERMS)
    [record] = fit(spec, make_data(), make_source_weights(spec), device=CPU)
    figures = record.flat()
    norms = {name: figures[f"gradient_norm/{name}"] for name in ALL}
    assert norms == record.gradient_norms
    assert all(isinstance(norm, float) and norm > 0 for norm in norms.values())
