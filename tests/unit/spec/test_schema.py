from __future__ import annotations

import copy
import pickle

import pytest
from pydantic import ValidationError
from support.fake_search import make_search

from adaptune.spec.distributions import Choice, LogUniform
from adaptune.spec.schema import TrialSpec

GAN_LOSS = {"search": "choice", "values": ["lsgan", "log"]}
CONDITIONAL = {
    "search": "uniform",
    "low": 1,
    "high": 5,
    "when": {"training.gan_loss": "log"},
    "otherwise": 0,
}
BLOCKS = {"search": "int", "low": 2, "high": 6, "step": 2}


def test_a_spec_can_be_built_with_distributions_in_place() -> None:
    spec = make_search(
        space={"model.generator.blocks": BLOCKS, "training.gan_loss": GAN_LOSS},
        loss_weights={"cycle": {"search": "loguniform", "low": 0.1, "high": 30}},
    )
    assert spec.loss_weights.cycle == LogUniform(search="loguniform", low=0.1, high=30)
    assert spec.training.gan_loss == Choice(search="choice", values=("lsgan", "log"))
    assert list(spec.space) == [
        "loss_weights.cycle",
        "model.generator.blocks",
        "training.gan_loss",
    ]


@pytest.mark.parametrize(
    "path", ["training.epochs", "training.lr_decay_from", "training.source.lr", "search.trials"]
)
def test_a_fixed_field_takes_no_distribution(path: str) -> None:
    section, _, rest = path.partition(".")
    key, _, inner = rest.partition(".")
    value: object = {"search": "int", "low": 1, "high": 2}
    tree = {key: {inner: value} if inner else value}
    with pytest.raises(ValidationError, match=path.rsplit(".", maxsplit=1)[-1]):
        make_search(**{section: tree})


def test_a_trial_has_the_given_values_and_the_rest_of_the_search() -> None:
    spec = make_search(space={"loss_weights.cycle": BLOCKS}, training={"epochs": 3}, seed=4)
    trial = spec.trial({"loss_weights.cycle": 6})
    assert isinstance(trial, TrialSpec)
    assert (trial.loss_weights.cycle, trial.training.epochs, trial.seed) == (6.0, 3, 4)
    assert spec.trial({}, seed=9).seed == 9


def test_a_value_that_was_not_drawn_is_the_first_bound_or_otherwise() -> None:
    spec = make_search(
        space={
            "loss_weights.cycle": BLOCKS,
            "loss_weights.identity": CONDITIONAL,
            "training.gan_loss": GAN_LOSS,
        }
    )
    trial = spec.trial({})
    assert trial.loss_weights.cycle == 2
    assert trial.loss_weights.identity == 0
    assert trial.training.gan_loss == "lsgan"


def test_a_trial_refuses_a_value_that_its_field_does_not_allow() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        make_search().trial({"loss_weights.cycle": -1})


def test_a_trial_whose_networks_do_not_fit_its_images_is_refused() -> None:
    sizes = [
        ({"model.discriminator.layers": 4}, "a discriminator of 4 layers takes 64 to 512 px"),
        ({"data.source.size": 16, "data.target.size": 16, "model.generator.factor": 8}, "factor 8"),
        ({"data.source.size": 128, "data.target.size": 128}, "lenet takes 16 to 64 px, not 128"),
    ]
    for values, message in sizes:
        with pytest.raises(ValidationError, match=message):
            make_search().trial(values)


def test_pretrained_weights_need_grey_or_colour() -> None:
    values = {"data.source.channels": 5, "data.target.channels": 5}
    backbone = {"name": "torchvision:resnet18", "weights": "a.pth"}
    with pytest.raises(ValidationError, match="take images of 1 or 3 channels, not 5"):
        make_search(model={"classifier": backbone}).trial(values)
    untrained = {"name": "torchvision:resnet18"}
    assert make_search(model={"classifier": untrained}).trial(values).data.source.channels == 5


def test_a_rate_of_the_backbone_needs_a_backbone() -> None:
    training = {"backbone_lr_factor": 0.1}
    with pytest.raises(ValidationError, match="networks of torchvision and timm, not for lenet"):
        make_search(training=training).trial({})
    spec = make_search(training=training, model={"classifier": {"name": "torchvision:resnet18"}})
    assert spec.trial({}).training.backbone_lr_factor == 0.1


@pytest.mark.parametrize(
    ("distribution", "sizes"),
    [
        ({"search": "choice", "values": [16, 64]}, [16, 64]),
        ({"search": "int", "low": 8, "high": 32, "step": 8}, [8, 16, 24, 32]),
        (48, [48]),
    ],
)
def test_the_batch_sizes_are_all_that_a_trial_may_have(
    distribution: object, sizes: list[int]
) -> None:
    spec = make_search(training={"batch_size": distribution})
    assert list(spec.batch_sizes) == sizes


def test_the_budget_of_a_trial_is_that_of_the_search() -> None:
    spec = make_search(training={"epochs": 7, "steps_per_epoch": 11})
    assert (spec.epochs, spec.steps_per_epoch) == (7, 11)


@pytest.mark.parametrize(
    ("sampler", "start_points", "planned"),
    [
        ({"name": "tpe"}, [], 100),
        ({"name": "grid", "points": 4}, [], 4 * 3 * 2),
        ({"name": "grid", "points": 2}, [{"loss_weights.cycle": 3.0}], 2 * 2 * 2 + 1),
        ({"name": "grid", "points": 99}, [], 100),
    ],
)
def test_a_grid_may_plan_fewer_trials_than_were_asked_for(
    sampler: dict[str, object], start_points: list[object], planned: int
) -> None:
    space = {
        "loss_weights.cycle": {"search": "uniform", "low": 0, "high": 9},
        "model.generator.blocks": BLOCKS,  # has three values
        "training.gan_loss": GAN_LOSS,
    }
    search = {"trials": 100, "sampler": sampler, "start_points": start_points}
    assert make_search(space=space, search=search).planned_trials == planned


def test_a_grid_refuses_conditions() -> None:
    space = {"loss_weights.identity": CONDITIONAL, "training.gan_loss": GAN_LOSS}
    with pytest.raises(ValidationError, match="grid tries all combinations"):
        make_search(space=space, search={"sampler": "grid"})


def test_a_spec_can_be_pickled_and_copied() -> None:
    space = {"model.generator.blocks": BLOCKS, "loss_weights.cycle": BLOCKS}
    spec = make_search(space=space)
    for other in (pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec)):
        assert other == spec
        assert other.space == spec.space
        assert other.trial({}) == spec.trial({})


def test_a_changed_copy_has_its_own_space_and_budget() -> None:
    spec = make_search(training={"epochs": 7})
    other = make_search(space={}, training={"epochs": 2})
    assert (list(spec.space), spec.epochs) == (["loss_weights.cycle", "loss_weights.identity"], 7)
    changed = spec.model_copy(
        update={"loss_weights": other.loss_weights, "training": other.training}
    )
    assert (changed.space, changed.epochs) == ({}, 2)


def test_batch_norm_can_be_adapted_only_in_a_network_that_has_it() -> None:
    with pytest.raises(ValidationError, match="adapt_batch_norm: classifier lenet has no batch"):
        make_search(training={"adapt_batch_norm": True}).trial({})
    dtn = make_search(training={"adapt_batch_norm": True}, model={"classifier": {"name": "dtn"}})
    assert dtn.trial({}).training.adapt_batch_norm


def test_the_term_of_labelled_target_images_needs_them() -> None:
    domain = {"domain": "mnist5k", "size": 32, "channels": 1}
    data = {"source": domain, "target": domain | {"train_labels": 5}}
    term = {"loss_weights.task_target": {"search": "uniform", "low": 0, "high": 1}}
    assert make_search(data=data, space=term).trial({}).data.target.train_labels == 5
    with pytest.raises(ValueError, match="task_target needs labelled target images: set"):
        make_search(space=term).trial({"loss_weights.task_target": 1.0})
