from __future__ import annotations

import pytest
import torch
from support.tiny_step import run_step
from support.tiny_trial import (
    CLASSES,
    CPU,
    make_batch,
    make_source_weights,
    make_spec,
    make_state,
)

from adaptune.spec.schema import TrialSpec
from adaptune.spec.training import TrainingSpec
from adaptune.training.networks import TRAINED, Networks, build_networks, prepare_for_training


def build(spec: TrialSpec) -> Networks:
    return build_networks(spec, CLASSES, make_source_weights(spec), CPU)


def weights_of(networks: Networks) -> list[torch.Tensor]:
    return [weight for network in networks.trained().values() for weight in network.parameters()]


def test_both_classifiers_start_with_the_weights_of_f_s() -> None:
    spec = make_spec()
    networks = build(spec)
    for name, value in make_source_weights(spec).items():
        assert torch.equal(networks.f_s.state_dict()[name], value)
        assert torch.equal(networks.f_t.state_dict()[name], value)


def test_f_s_is_fixed_and_everything_else_is_trained() -> None:
    networks = build(make_spec(dropout=0.5))
    assert not networks.f_s.training
    assert not any(parameter.requires_grad for parameter in networks.f_s.parameters())
    assert tuple(networks.trained()) == TRAINED
    assert all(parameter.requires_grad for parameter in weights_of(networks))


def test_the_seed_decides_the_weights_and_the_global_generator_stays_untouched() -> None:
    spec = make_spec()
    before = torch.get_rng_state()
    first = weights_of(build(spec))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    again = weights_of(build(spec))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    other = weights_of(build(spec.model_copy(update={"seed": 1})))
    assert not all(torch.equal(*pair) for pair in zip(first, other, strict=True))


def test_the_networks_of_one_kind_differ() -> None:
    networks = build(make_spec())
    pairs = ((networks.g_st, networks.g_ts), (networks.d_s, networks.d_t))
    for first, second in pairs:
        assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_channels_last_is_the_memory_format_of_the_weights() -> None:
    networks = build(make_spec(generator="resnet", channels_last=True))
    kernels = [weight for weight in weights_of(networks) if weight.dim() == 4]
    assert kernels
    for kernel in kernels:
        assert kernel.is_contiguous(memory_format=torch.channels_last)


def test_one_worker_trains_the_networks_unwrapped() -> None:
    networks = build(make_spec())
    prepared = prepare_for_training(networks, CPU, TrainingSpec())
    assert prepared == networks


def test_compilation_leaves_f_s_and_the_averages_out() -> None:
    networks = build(make_spec())
    prepare_for_training(networks, CPU, TrainingSpec(compile=True))
    for network in networks.trained().values():
        assert network._compiled_call_impl is not None
    assert networks.f_s._compiled_call_impl is None


@pytest.mark.parametrize(("classifier", "size"), [("lenet", 16), ("dtn", 32)])
def test_a_frozen_head_stays_that_of_f_s_and_everything_else_learns(
    classifier: str, size: int
) -> None:
    spec = make_spec(classifier=classifier, size=size, freeze_head=True)
    state = make_state(spec)
    head = {id(parameter) for parameter in [*state.networks.f_t.parameters()][-2:]}
    run_step(state, make_batch(spec, state))
    weights_of_f_s = dict(state.networks.f_s.named_parameters())
    for name, parameter in state.networks.f_t.named_parameters():
        is_frozen = id(parameter) in head
        assert parameter.requires_grad != is_frozen
        assert torch.equal(parameter, weights_of_f_s[name]) == is_frozen
