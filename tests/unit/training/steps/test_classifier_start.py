"""`training.classifier_from`: f_T and D_feat are not trained before that part of the run."""

from __future__ import annotations

import pytest
import torch
from support.tiny_step import images_per_network
from support.tiny_trial import make_images, make_spec, make_state

from adaptune.spec.schema import TrialSpec
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import Member
from adaptune.training.state import TrainingState

TERMS_OF_F_T = {"task", "information", "feature", "feature_discriminator", "feature_gate"}


def trained(spec: TrialSpec, epochs: int) -> Member:
    state = make_state(spec)
    member = Member(state)
    trainer = EpochTrainer(spec, make_images(spec, state), None)
    for epoch in range(1, epochs + 1):
        assert trainer.train(epoch, [member])
    return member


def late_spec(start: float, method: str = "cycada") -> TrialSpec:
    """Return a trial of 8 updates, 2 per epoch, that trains f_T from this fraction on."""
    return make_spec(method=method, classifier_from=start, classifier_ema_decay=0.9)


@pytest.mark.parametrize(("start", "updates"), [(0.0, 0), (0.1, 0), (0.25, 2), (0.3, 2), (0.99, 7)])
def test_the_fraction_counts_whole_updates(start: float, updates: int) -> None:
    assert make_state(late_spec(start)).classifier_start == updates


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_until_then_only_the_gan_is_trained(method: str) -> None:
    spec = late_spec(0.5, method)
    before = make_state(spec)
    member = trained(spec, epochs=2)
    networks = member.state.networks.trained()
    for name, network in before.networks.trained().items():
        is_equal = all(
            torch.equal(value, networks[name].state_dict()[key])
            for key, value in network.state_dict().items()
        )
        assert is_equal == (name in ("f_t", "d_feat"))
    assert not TERMS_OF_F_T & member.meter.means().keys()


def average_of(state: TrainingState) -> list[torch.Tensor]:
    return list(state.averages["f_t"].module.parameters())


def test_the_average_of_f_t_starts_with_its_training() -> None:
    member = trained(late_spec(0.5), epochs=2)
    expected = list(member.state.networks.f_s.parameters())
    assert all(map(torch.equal, average_of(member.state), expected))
    assert member.state.averages["f_t"].weight == 0.9
    member = trained(late_spec(0.5), epochs=3)
    assert not all(map(torch.equal, average_of(member.state), expected))
    assert member.state.averages["f_t"].weight == 1 - 2 / 11  # of its second update


def test_then_f_t_is_trained_with_the_rates_of_the_whole_run() -> None:
    member = trained(late_spec(0.5), epochs=3)
    assert member.meter.means().keys() >= TERMS_OF_F_T
    on_time = trained(late_spec(0.0), epochs=3).state
    for optimizer, other in (
        (member.state.optimizers.f_t, on_time.optimizers.f_t),
        (member.state.optimizers.d_feat, on_time.optimizers.d_feat),
    ):
        assert optimizer.param_groups[0]["lr"] == other.param_groups[0]["lr"]


@pytest.mark.parametrize("method", ["cycada", "cyclegan"])
def test_until_then_f_t_and_d_feat_cost_no_forward_pass(method: str) -> None:
    images = images_per_network(late_spec(0.5, method))
    assert images["f_t"] == images["d_feat"] == 0
    assert images["g_st"] > 0
