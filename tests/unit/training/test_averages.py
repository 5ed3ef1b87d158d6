from __future__ import annotations

import pytest
import torch
from support.tiny_trial import (
    make_batch,
    make_spec,
    make_state,
)
from torch import nn

from adaptune.training.averages import MovingAverage, warmed_up_decay
from adaptune.training.steps.cycada import cycada_step


class Scalar(nn.Module):
    """A network of one parameter and one buffer."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.tensor(value))
        self.register_buffer("statistic", torch.tensor(10 * value))

    def set(self, value: float) -> None:
        with torch.no_grad():
            self.parameter.fill_(value)
            self.get_buffer("statistic").fill_(10 * value)


def test_buffers_of_integers_are_those_of_the_network() -> None:
    network = Scalar(1.0)
    network.register_buffer("index", torch.arange(100))
    average = MovingAverage(network, 0.9)
    network.get_buffer("index").add_(1)
    average.update(network)
    assert torch.equal(average.module.get_buffer("index"), torch.arange(100) + 1)


def test_the_decay_warms_up() -> None:
    assert [warmed_up_decay(0.999, step) for step in (0, 1, 90)] == [1 / 10, 2 / 11, 91 / 100]
    assert warmed_up_decay(0.3, 0) == 1 / 10
    assert warmed_up_decay(0.3, 90) == 0.3


def test_the_first_update_is_averaged_with_the_initial_weights() -> None:
    network = Scalar(1.0)
    average = MovingAverage(network, 0.9)
    assert average.module.parameter.item() == 1
    network.set(2.0)
    average.update(network)
    assert average.module.parameter.item() == pytest.approx(0.1 * 1 + 0.9 * 2)
    network.set(4.0)
    average.set_weight(1)
    average.update(network)
    expected = 2 / 11 * 1.9 + 9 / 11 * 4
    assert average.module.parameter.item() == pytest.approx(expected)


def test_buffers_are_averaged_like_parameters() -> None:
    network = Scalar(1.0)
    average = MovingAverage(network, 0.9)
    for update, value in enumerate((2.0, -3.0, 0.5)):
        network.set(value)
        average.set_weight(update)
        average.update(network)
    averaged = average.module
    assert averaged.statistic.item() == pytest.approx(10 * averaged.parameter.item(), rel=1e-5)
    assert averaged.statistic.item() != network.get_buffer("statistic").item()


def test_an_average_is_frozen_in_eval_mode_and_apart_from_the_network() -> None:
    network = Scalar(1.0).train()
    average = MovingAverage(network, 0.9)
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
    assert network.training
    assert network.parameter.requires_grad
    network.set(2.0)
    assert average.module.parameter.item() == 1


@pytest.mark.parametrize("weight", [0.9, 9 / 11, 0.5, 0.1, 0.001])
def test_a_weight_on_the_device_moves_the_average_as_a_number_does(weight: float) -> None:
    network = nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5))
    by_number, by_tensor = MovingAverage(network, 0.9), MovingAverage(network, 0.9)
    by_number.weight = weight
    by_tensor.weight = torch.tensor(weight)
    before = {name: value.data_ptr() for name, value in by_tensor.module.state_dict().items()}
    for _ in range(3):
        nn.init.normal_(network[0].weight)
        by_number.update(network)
        by_tensor.update(network)
    after = by_tensor.module.state_dict()
    torch.testing.assert_close(after, by_number.module.state_dict(), rtol=0, atol=0)
    assert {name: value.data_ptr() for name, value in after.items()} == before


def test_the_average_of_a_trial_by_hand() -> None:
    spec = make_spec(classifier_ema_decay=0.3)
    state = make_state(spec)
    name = "net.11.bias"
    expected = state.networks.f_t.state_dict()[name].clone()
    for step in range(4):
        state.set_rates()
        cycada_step([state], make_batch(spec, state, step))
        state.update_averages()
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * state.networks.f_t.state_dict()[name]
        state.step += 1
    torch.testing.assert_close(state.averages["f_t"].module.state_dict()[name], expected)


def test_the_average_of_a_trial_holds_averaged_statistics_of_batch_norm() -> None:
    spec = make_spec(size=32, classifier="dtn", classifier_ema_decay=0.9)
    state = make_state(spec)
    state.networks.f_t.train()
    before = {name: value.clone() for name, value in state.networks.f_t.named_buffers()}
    cycada_step([state], make_batch(spec, state))
    state.update_averages()
    after = dict(state.networks.f_t.named_buffers())
    averaged = dict(state.averages["f_t"].module.named_buffers())
    statistics = [name for name in after if "running" in name]
    assert statistics
    for name in statistics:
        torch.testing.assert_close(averaged[name], 0.1 * before[name] + 0.9 * after[name])
        assert not torch.equal(averaged[name], after[name])
