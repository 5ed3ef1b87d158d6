"""One update of a tiny trial, with a record of what it touches."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn

from adaptune.spec.schema import TrialSpec
from adaptune.training.state import TrainingState
from adaptune.training.steps.batch import Batch
from adaptune.training.steps.cycada import cycada_step
from adaptune.training.steps.cyclegan import cyclegan_step
from adaptune.training.steps.optimization import LossTerms
from support.tiny_trial import make_batch, make_state

STEPS = {"cycada": cycada_step, "cyclegan": cyclegan_step}
# The networks that each optimizer updates.
UPDATED = {
    "generators": {"g_st", "g_ts"},
    "discriminators": {"d_s", "d_t"},
    "f_t": {"f_t"},
    "d_feat": {"d_feat"},
}


def run_step(state: TrainingState, batch: Batch) -> LossTerms:
    state.networks.f_t.train()
    [terms] = STEPS[state.spec.method]([state], batch)
    return terms


def all_networks(state: TrainingState) -> dict[str, nn.Module]:
    return state.networks.trained() | {"f_s": state.networks.f_s}


def networks_with_gradients(state: TrainingState) -> set[str]:
    names = set()
    for name, network in all_networks(state).items():
        if any(parameter.grad is not None for parameter in network.parameters()):
            names.add(name)
    return names


def snapshot(state: TrainingState) -> dict[str, dict[str, torch.Tensor]]:
    weights = {}
    for name, network in all_networks(state).items():
        weights[name] = {key: value.clone() for key, value in network.state_dict().items()}
    return weights


def assert_each_optimizer_updates_its_own_networks_only(
    spec: TrialSpec, expected: dict[str, set[str]]
) -> None:
    """Check that each optimizer steps while only its own networks have gradients.

    Args:
        expected: the networks that each optimizer updates, for the optimizers that step.
    """
    state = make_state(spec)
    with_gradients: dict[str, set[str]] = {}

    def remember(name: str) -> Any:
        return lambda *_: with_gradients.__setitem__(name, networks_with_gradients(state))

    for name, optimizer in state.optimizers.by_name().items():
        optimizer.register_step_pre_hook(remember(name))
    before = snapshot(state)
    run_step(state, make_batch(spec, state))

    assert with_gradients == expected
    assert networks_with_gradients(state) == set()
    after = snapshot(state)
    changed = set()
    for name, weights in before.items():
        if any(not torch.equal(weights[key], value) for key, value in after[name].items()):
            changed.add(name)
    assert changed == set().union(*expected.values())
    for network in state.networks.trained().values():
        assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(parameter.requires_grad for parameter in state.networks.f_s.parameters())
    assert not state.networks.f_s.training


def images_per_network(spec: TrialSpec) -> Counter[str]:
    """Return the number of images, or rows of logits, that each network gets in one update."""
    state = make_state(spec)
    batch = make_batch(spec, state)
    rows: Counter[str] = Counter()

    def count(name: str) -> Any:
        return lambda _, inputs, __: rows.update({name: len(inputs[0])})

    for name, network in all_networks(state).items():
        network.register_forward_hook(count(name))
    run_step(state, batch)
    return rows
