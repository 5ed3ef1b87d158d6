from __future__ import annotations

import pytest
import torch
from support.tiny_trial import CPU, make_source_weights, make_spec

from adaptune.training.rates import optimizers_of, rates_of, rates_on_device
from adaptune.training.state import TrainingState, build_group


def group(**training: float) -> list[TrainingState]:
    shared = {"ema_decay": 0.9, "classifier_ema_decay": 0.5, "lr_decay_from": 0.0} | training
    specs = [make_spec(classifier_lr=lr, **shared) for lr in (1e-3, 2e-3)]
    states = build_group(specs, 3, make_source_weights(specs[0]), CPU)
    for state in states:
        state.step = 2  # of 8
        state.set_rates()
    return states


def test_the_rates_are_those_of_each_network_once() -> None:
    rates = rates_of(group(generator_lr=4e-3, discriminator_lr=8e-3))
    expected = [4e-3, 8e-3, 1e-3, 1e-4, 2e-3, 1e-4]  # the GAN's, then f_T's and D_feat's
    assert rates.learning.tolist() == pytest.approx([0.75 * rate for rate in expected])
    # Those of G_st, G_ts and f_T, whose decay is still rising, and of the other f_T.
    assert rates.averaging.tolist() == pytest.approx([1 - 3 / 12] * 4)


def test_rates_on_the_device_move_weights_as_numbers_do() -> None:
    weights = []
    for on_device in (False, True):
        states = group()
        rates = rates_of(states)
        optimizers = optimizers_of(states)
        generator = torch.Generator().manual_seed(0)
        for _ in range(2):
            for optimizer in optimizers:
                for parameter in optimizer.param_groups[0]["params"]:
                    parameter.grad = torch.randn(parameter.shape, generator=generator)
            if not on_device:
                step(states)
                continue
            with rates_on_device(states, rates):
                assert all(part["capturable"] for part in optimizers[0].param_groups)
                step(states)
        weights.append([state.state_dict() for state in states])
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)


def step(states: list[TrainingState]) -> None:
    for optimizer in optimizers_of(states):
        optimizer.step()
    for state in states:
        state.update_averages()


def test_afterwards_the_rates_are_numbers_again() -> None:
    states = group()
    before = states[0].state_dict()["optimizers"]["generators"]["param_groups"]
    with rates_on_device(states, rates_of(states)):
        pass
    after = states[0].state_dict()["optimizers"]["generators"]["param_groups"]
    assert after == before
    assert isinstance(after[0]["lr"], float)
    assert all(isinstance(average.weight, float) for average in states[0].averages.values())
