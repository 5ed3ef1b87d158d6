from __future__ import annotations

import pytest
import torch
from torch import nn

from adaptune.models.generators import ResnetGenerator
from adaptune.models.norm import InstanceNorm, with_cast_norms


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_has_the_numbers_and_the_gradients_of_torchs_instance_norm(
    layout: torch.memory_format, affine: bool
) -> None:
    torch.manual_seed(0)
    norm, expected_norm = InstanceNorm(5, affine=affine), nn.InstanceNorm2d(5, affine=affine)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    expected_norm.load_state_dict(norm.state_dict())
    images = 3 + torch.randn(4, 5, 8, 6).to(memory_format=layout)
    weights = torch.randn(4, 5, 8, 6)
    results = []
    for each in (norm, expected_norm):
        x = images.clone().requires_grad_()
        y = each(x)
        gradients = torch.autograd.grad((weights * y).sum(), [x, *each.parameters()])
        results.append([y.detach(), *gradients])
    for value, expected in zip(*results, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


def test_autocast_keeps_half_precision() -> None:
    norm = InstanceNorm(5, affine=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert norm(torch.randn(2, 5, 4, 4).bfloat16()).dtype == torch.bfloat16


def test_half_precision_rounds_scales_and_results_only() -> None:
    torch.manual_seed(0)
    norm = InstanceNorm(5, affine=True)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    images = (30 + torch.randn(4, 5, 32, 32)).bfloat16()  # a sum in bf16 would be far off
    expected = norm(images.float())
    with torch.autocast("cpu", torch.bfloat16):
        results = norm(images)
    results.float().sum().backward()
    torch.testing.assert_close(results.float(), expected, rtol=0.01, atol=0.02)
    assert all(parameter.grad.dtype == torch.float32 for parameter in norm.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("is_recomputed", [False, True])
def test_parameters_that_are_cast_together_have_the_same_results_and_gradients(
    is_recomputed: bool, precision: str
) -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(1, width=4, blocks=2)
    for module in network.modules():
        if hasattr(module, "is_recomputed"):
            module.is_recomputed = is_recomputed
    images = torch.randn(2, 1, 16, 16)
    results = []
    for apply in (lambda: network.net(images), lambda: with_cast_norms(network.net, images)):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            translated = apply()
        gradients = torch.autograd.grad(translated.float().square().sum(), network.parameters())
        results.append([translated.detach(), *gradients])
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_parameters_of_all_norms_take_one_cast() -> None:
    network = nn.Sequential(*(InstanceNorm(5, affine=True) for _ in range(4)))
    images = torch.randn(2, 5, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16), torch.profiler.profile() as profiler:
        with_cast_norms(network, images)
    counts = {event.key: event.count for event in profiler.key_averages()}
    assert counts["aten::_to_copy"] == 1


def test_a_network_without_parameters_of_norms_is_applied_as_it_is() -> None:
    network = nn.Sequential(InstanceNorm(5), nn.ReLU())
    images = torch.randn(2, 5, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(with_cast_norms(network, images), network(images))
