from __future__ import annotations

import pytest
import torch
from support.tiny_step import (
    UPDATED,
    assert_each_optimizer_updates_its_own_networks_only,
    images_per_network,
    run_step,
)
from support.tiny_trial import make_batch, make_spec, make_state
from torch.nn import functional as F  # noqa: N812  (its usual name)


@pytest.mark.parametrize("classifier", ["lenet", "dtn"])
def test_each_optimizer_steps_while_only_its_own_networks_have_gradients(classifier: str) -> None:
    spec = make_spec(method="cyclegan", size=32, classifier=classifier)
    expected = {name: networks for name, networks in UPDATED.items() if name != "d_feat"}
    assert_each_optimizer_updates_its_own_networks_only(spec, expected)


def test_terms_are_detached_unweighted_and_complete() -> None:
    terms = {}
    for scale in (1, 7):
        weights = {"adversarial": scale, "cycle": scale, "identity": scale}
        spec = make_spec(method="cyclegan", loss_weights=weights)
        state = make_state(spec)
        terms[scale] = run_step(state, make_batch(spec, state))
    assert set(terms[1]) == {"adversarial", "cycle", "identity", "discriminator", "task"}
    assert not any(value.requires_grad or value.dim() for value in terms[1].values())
    for name in ("adversarial", "cycle", "identity"):
        assert torch.equal(terms[1][name], terms[7][name])


def test_cyclegan_leaves_cycadas_terms_out() -> None:
    rows = images_per_network(make_spec(method="cyclegan"))
    assert rows["f_s"] == 0
    assert rows["d_feat"] == 0
    assert rows["f_t"] == 4


def test_without_a_term_for_the_generators_f_t_is_trained_on_source_images() -> None:
    off = dict.fromkeys(["adversarial", "cycle", "identity"], 0.0)
    spec = make_spec(method="cyclegan", loss_weights=off)
    state = make_state(spec)
    batch = make_batch(spec, state)
    with torch.no_grad():
        expected = F.cross_entropy(state.networks.f_t(batch.source), batch.source_labels)
    terms = run_step(state, batch)
    assert set(terms) == {"task"}
    torch.testing.assert_close(terms["task"], expected)
