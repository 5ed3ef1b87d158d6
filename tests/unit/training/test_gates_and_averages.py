from __future__ import annotations

import pytest
import torch
from support.tiny_trial import make_batch, make_spec, make_state

from adaptune.training.steps.cycada import cycada_step


def f_target_after_a_step(
    gate: float, feature: float
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    spec = make_spec(feature_gate=gate, loss_weights={"feature": feature, "information": 0.3})
    state = make_state(spec)
    terms = cycada_step(state, make_batch(spec, state))
    return terms, state.networks.f_target.state_dict()


def test_closed_feature_gate_contributes_nothing() -> None:
    terms, closed = f_target_after_a_step(gate=1.0, feature=100.0)
    _, without = f_target_after_a_step(gate=1.0, feature=0.0)
    assert terms["feature_gate"] == 0
    assert terms["feature"] == 0
    assert terms["feature_discriminator"] > 0
    for name, value in closed.items():
        assert torch.equal(value, without[name])


def test_open_feature_gate_changes_f_target() -> None:
    terms, opened = f_target_after_a_step(gate=0.0, feature=100.0)
    _, without = f_target_after_a_step(gate=0.0, feature=0.0)
    assert terms["feature_gate"] == 1
    assert terms["feature"] > 0
    assert any(not torch.equal(value, without[name]) for name, value in opened.items())


def test_semantic_gate_opens_on_the_unweighted_task_loss_and_stays_open() -> None:
    spec = make_spec(semantic_gate=100.0, loss_weights={"task": 1000})
    state = make_state(spec)
    assert cycada_step(state, make_batch(spec, state))["semantic"] == 0
    assert state.semantic_open == 1
    assert cycada_step(state, make_batch(spec, state, 1))["semantic"] > 0

    never = make_state(spec := make_spec(semantic_gate=1e-9))
    cycada_step(never, make_batch(spec, never))
    assert never.semantic_open == 0
    never.semantic_open.fill_(1)
    cycada_step(never, make_batch(spec, never))
    assert never.semantic_open == 1


def test_without_a_semantic_gate_the_term_is_on_at_once() -> None:
    state = make_state(spec := make_spec())
    assert cycada_step(state, make_batch(spec, state))["semantic"] > 0


def test_moving_average_of_f_target_by_hand() -> None:
    state = make_state(spec := make_spec(classifier_ema_decay=0.3))
    assert set(state.averages) == {"f_target"}
    name = "net.11.bias"
    expected = state.networks.f_target.state_dict()[name].clone()
    for step in range(4):
        cycada_step(state, make_batch(spec, state, step))
        state.update_averages()
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * state.networks.f_target.state_dict()[name]
        state.step += 1
    torch.testing.assert_close(state.averages["f_target"].state_dict()[name], expected)
    assert state.eval_network("f_target") is state.averages["f_target"]
    assert not state.eval_network("f_target").training
    assert not any(p.requires_grad for p in state.eval_network("f_target").parameters())


def test_average_takes_the_running_statistics_as_they_are() -> None:
    state = make_state(spec := make_spec(size=32, classifier="dtn", classifier_ema_decay=0.9))
    state.networks.f_target.train()
    cycada_step(state, make_batch(spec, state))
    state.update_averages()
    live = dict(state.networks.f_target.named_buffers())
    assert live
    for name, buffer in state.averages["f_target"].named_buffers():
        assert torch.equal(buffer, live[name])


def test_without_averages_the_live_network_is_the_best() -> None:
    state = make_state(make_spec())
    assert state.eval_network("f_target") is state.networks.f_target


@pytest.mark.parametrize(
    ("scores", "best"),
    [([(0.5, 1.0), (0.6, 2.0), (0.6, 1.5)], 3), ([(0.5, 1.0), (0.5, 1.0)], 1), ([(0.0, 9.0)], 1)],
)
def test_best_epoch_is_the_most_accurate_then_the_one_of_least_loss(
    scores: list[tuple[float, float]], best: int
) -> None:
    state = make_state(make_spec())
    for epoch, (accuracy, loss) in enumerate(scores, start=1):
        state.note_score(epoch, (accuracy, -loss))
    assert state.best_epoch == best
