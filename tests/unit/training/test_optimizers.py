from __future__ import annotations

from support.tiny_trial import CLASSES, CPU, make_source_weights, make_spec
from torch import nn

from adaptune.training.networks import build_networks
from adaptune.training.optimizers import base_learning_rates, build_optimizers


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
