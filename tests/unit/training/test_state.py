from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from support.tiny_trial import WITH_MEMORY, make_batch, make_spec, make_state, with_classifier

from adaptune.spec.schema import TrialSpec
from adaptune.training.draws import Purpose
from adaptune.training.state import TrainingState
from adaptune.training.steps.cycada import cycada_step

BACKBONE = "torchvision:mobilenet_v3_small"


def test_the_average_is_evaluated_if_there_is_one() -> None:
    state = make_state(make_spec(classifier_ema_decay=0.3))
    assert set(state.averages) == {"f_t"}
    network = state.eval_network("f_t")
    assert network is state.averages["f_t"].module
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert state.eval_network("g_st") is state.networks.g_st


def test_without_averages_the_trained_network_is_evaluated() -> None:
    state = make_state(make_spec())
    assert state.averages == {}
    assert state.eval_network("f_t") is state.networks.f_t


def test_generators_have_averages_of_their_own() -> None:
    state = make_state(make_spec(ema_decay=0.5))
    assert list(state.averages) == ["g_st", "g_ts"]


@pytest.mark.parametrize(
    ("scores", "best"),
    [([(0.5, 1.0), (0.6, 2.0), (0.6, 1.5)], 3), ([(0.5, 1.0), (0.5, 1.0)], 1), ([(0.0, 9.0)], 1)],
)
def test_the_best_epoch_is_the_most_accurate_then_the_one_of_least_loss(
    scores: list[tuple[float, float]], best: int
) -> None:
    state = make_state(make_spec())
    for epoch, (accuracy, loss) in enumerate(scores, start=1):
        state.update_best(epoch, (accuracy, -loss))
    assert state.best_epoch == best


def test_every_optimizer_gets_its_own_rate() -> None:
    rates = {
        "generator_lr": 4e-4,
        "discriminator_lr": 3e-4,
        "classifier_lr": 2e-4,
        "feature_discriminator_lr": 1e-4,
    }
    state = make_state(make_spec(**rates))
    assert state.total_steps == 8
    state.step = 6  # half of the second half is over
    state.set_rates()
    current = [optimizer.param_groups[0]["lr"] for optimizer in state.optimizers.by_name().values()]
    assert list(state.optimizers.by_name()) == ["generators", "discriminators", "f_t", "d_feat"]
    assert current == pytest.approx([rate / 2 for rate in rates.values()])


def test_random_numbers_depend_on_seed_purpose_and_step_only() -> None:
    def draw(state: TrainingState, purpose: str = "pool") -> list[float]:
        return torch.rand(3, generator=state.rng(Purpose(purpose))).tolist()

    first = make_state(make_spec())
    expected = draw(first)
    assert draw(first) == expected
    assert draw(make_state(make_spec())) == expected
    assert draw(first, "augment-source") != expected
    first.step = 1
    assert draw(first) != expected


def with_slow_backbone() -> TrialSpec:
    training: dict[str, Any] = {"classifier_optimizer": "sgd", "classifier_schedule": "tllib"}
    spec = make_spec(
        size=32, classifier=BACKBONE, backbone_lr_factor=0.1, **WITH_MEMORY, **training
    )
    return with_classifier(spec, BACKBONE, bottleneck=5)


def test_the_classifier_may_have_a_schedule_of_its_own() -> None:
    state = make_state(with_slow_backbone())
    state.step = 6
    state.set_rates()
    assert state.optimizers.generators.param_groups[0]["lr"] == pytest.approx(1e-4)
    rates = [group["lr"] for group in state.optimizers.f_t.param_groups]
    rate = 1e-4 * 8.5**-0.75
    assert rates == pytest.approx([0.1 * rate, rate])


@pytest.mark.parametrize("spec", [make_spec(**WITH_MEMORY), with_slow_backbone()])
def test_a_loaded_state_makes_the_same_updates(spec: TrialSpec) -> None:
    whole = make_state(spec)
    for step in range(2):
        update(whole, step)
    resumed = make_state(spec)
    # Torch's optimizers keep the tensors that they load.
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    resumed.load_pools_state(copy.deepcopy(whole.pools_state()))
    terms = update(whole, 2)
    assert update(resumed, 2) == terms
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)


def update(state: TrainingState, step: int) -> dict[str, float]:
    torch.manual_seed(step)  # for dropout, as `fit` does
    state.set_rates()
    [terms] = cycada_step([state], make_batch(state.spec, state, step))
    state.update_averages()
    state.step += 1
    return {name: float(value) for name, value in terms.items()}


def test_a_loaded_state_keeps_the_best_epoch_and_the_lowest_losses() -> None:
    spec = make_spec()
    state = make_state(spec)
    state.update_best(3, (0.5, -1.0))
    state.lowest_losses["cycle"] = 0.25
    loaded = make_state(spec)
    loaded.load_state_dict(state.state_dict())
    assert loaded.best_epoch == 3
    assert loaded.best_score == (0.5, -1.0)
    assert loaded.lowest_losses == {"cycle": 0.25}
    loaded.lowest_losses["cycle"] = 0.1
    assert state.lowest_losses == {"cycle": 0.25}


def test_averages_are_saved_as_weights_of_the_network() -> None:
    state = make_state(make_spec(classifier_ema_decay=0.3))
    saved = state.state_dict()["averages"]["f_t"]
    assert saved.keys() == state.networks.f_t.state_dict().keys()


@pytest.mark.parametrize(("gate", "is_open"), [(None, 1), (0.5, 0)])
def test_the_semantic_gate_starts_closed_if_there_is_one(gate: float | None, is_open: int) -> None:
    assert make_state(make_spec(semantic_gate=gate)).semantic_open == is_open
