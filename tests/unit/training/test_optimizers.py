from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_trial import CLASSES, CPU, make_source_weights, make_spec, with_classifier
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from adaptune.models.backbones import torchvision_backbone
from adaptune.training.networks import build_networks
from adaptune.training.optimizers import (
    backbone_lr_factor,
    base_learning_rates,
    build_optimizers,
    classifier_lr_factor,
    source_classifier_optimizer,
    target_classifier_optimizer,
)


def test_each_optimizer_has_the_parameters_of_its_networks_in_order() -> None:
    spec = make_spec()
    networks = build_networks(spec, CLASSES, make_source_weights(spec), CPU)
    optimizers = build_optimizers(networks, spec)
    groups: dict[str, list[nn.Module]] = {
        "generators": [networks.g_st, networks.g_ts],
        "discriminators": [networks.d_s, networks.d_t],
        "f_t": [networks.f_t],
        "d_feat": [networks.d_feat],
    }
    assert list(optimizers.by_name()) == list(groups)
    for name, modules in groups.items():
        expected = [parameter for module in modules for parameter in module.parameters()]
        (group,) = optimizers.by_name()[name].param_groups
        assert [id(parameter) for parameter in group["params"]] == [id(p) for p in expected]


def test_rates_and_betas_come_from_the_spec() -> None:
    spec = make_spec(
        generator_lr=1e-3,
        discriminator_lr=2e-3,
        classifier_lr=3e-3,
        feature_discriminator_lr=4e-3,
        beta1=0.25,
        beta2=0.5,
    )
    rates = {"generators": 1e-3, "discriminators": 2e-3, "f_t": 3e-3, "d_feat": 4e-3}
    assert base_learning_rates(spec) == rates
    networks = build_networks(spec, CLASSES, make_source_weights(spec), CPU)
    for name, optimizer in build_optimizers(networks, spec).by_name().items():
        (group,) = optimizer.param_groups
        assert group["lr"] == rates[name]
        assert group["betas"] == (0.25, 0.5)


def test_f_t_and_d_feat_may_have_another_beta1() -> None:
    spec = make_spec(beta1=0.25, classifier_beta1=0.75)
    networks = build_networks(spec, CLASSES, make_source_weights(spec), CPU)
    betas = {}
    for name, optimizer in build_optimizers(networks, spec).by_name().items():
        (group,) = optimizer.param_groups
        betas[name] = group["betas"][0]
    assert betas == {"generators": 0.25, "discriminators": 0.25, "f_t": 0.75, "d_feat": 0.75}


BACKBONE = "torchvision:mobilenet_v3_small"


def both_optimizers(net: nn.Module, **training: Any) -> dict[str, Optimizer]:
    """The optimizers of f_S and f_T with the same options."""
    stage = {name.removeprefix("classifier_"): value for name, value in training.items()}
    f_s = source_classifier_optimizer(net, make_spec(source=stage))
    f_t = target_classifier_optimizer(net, make_spec(**training))
    return {"f_S": f_s, "f_T": f_t}


def test_the_defaults_are_adam_without_weight_decay() -> None:
    net = nn.Linear(2, 2)
    betas = {"f_S": (0.9, 0.999), "f_T": (0.5, 0.999)}
    for name, optimizer in both_optimizers(net).items():
        assert isinstance(optimizer, Adam)
        (group,) = optimizer.param_groups
        assert (group["betas"], group["weight_decay"]) == (betas[name], 0.0)
        assert group["params"] == [*net.parameters()]


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.8, True), (0.0, False)])
def test_stochastic_gradient_descent_has_nesterov_momentum(momentum: float, nesterov: bool) -> None:
    options = {
        "classifier_lr": 0.01,
        "classifier_optimizer": "sgd",
        "classifier_momentum": momentum,
        "classifier_weight_decay": 1e-3,
    }
    for optimizer in both_optimizers(nn.Linear(2, 2), **options).values():
        assert isinstance(optimizer, SGD)
        (group,) = optimizer.param_groups
        assert (group["lr"], group["momentum"], group["nesterov"]) == (0.01, momentum, nesterov)
        assert group["weight_decay"] == 1e-3


def test_weight_decay_pulls_towards_zero_without_a_gradient() -> None:
    for name in ("adam", "sgd"):
        net = nn.Linear(2, 2)
        norm = float(net.weight.detach().norm())
        spec = make_spec(classifier_optimizer=name, classifier_weight_decay=0.1)
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        target_classifier_optimizer(net, spec).step()
        assert float(net.weight.detach().norm()) < norm


@pytest.mark.parametrize(
    ("weights", "given", "factor"),
    [("none", None, 1.0), ("a.pth", None, 0.1), ("a.pth", 1.0, 1.0), ("none", 0.2, 0.2)],
)
def test_a_pretrained_backbone_learns_slowly_unless_the_spec_has_another_rate(
    weights: str, given: float | None, factor: float
) -> None:
    training = {} if given is None else {"backbone_lr_factor": given}
    spec = make_spec(size=32).model_copy()
    spec = with_classifier(spec, BACKBONE, weights=weights)
    spec = spec.model_copy(update={"training": spec.training.model_copy(update=training)})
    assert backbone_lr_factor(spec) == factor
    net = torchvision_backbone("mobilenet_v3_small", 3, 32, 4, bottleneck=5)
    rates = {}
    for group in target_classifier_optimizer(net, spec).param_groups:
        for parameter in group["params"]:
            rates[id(parameter)] = group.get("lr_factor", 1.0)
    assert rates.keys() == {id(parameter) for parameter in net.parameters()}
    assert {rates[id(parameter)] for parameter in net.body.parameters()} == {factor}
    rest = [*net.fc.parameters(), *net.bottleneck.parameters()]
    assert {rates[id(parameter)] for parameter in rest} == {1.0}


def test_the_schedule_of_the_classifiers_is_that_of_the_spec() -> None:
    assert classifier_lr_factor(0.75, make_spec()) == 0.5
    spec = make_spec(classifier_schedule="tllib")
    assert classifier_lr_factor(0.75, spec) == pytest.approx(8.5**-0.75)
