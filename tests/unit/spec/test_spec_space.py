"""Distributions and start points."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adaptune.spec import SearchSpec, dump
from adaptune.spec.distributions import Choice, Int, LogUniform, Uniform

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]


def test_distributions_are_taken_out_and_stood_in_for(read: Read) -> None:
    spec = read(
        "loss_weights:\n  cycle: {search: loguniform, low: 1e-1, high: 30}\n"
        "  identity: {search: uniform, low: 0, high: 5}\n"
        "training: {gan_loss: {search: choice, values: [lsgan, log]}}\n"
        "model: {generator: {blocks: {search: int, low: 1, high: 5, step: 2}}}\n"
    )
    assert spec.space == {
        "loss_weights.cycle": LogUniform(search="loguniform", low=0.1, high=30),
        "loss_weights.identity": Uniform(search="uniform", low=0, high=5),
        "model.generator.blocks": Int(search="int", low=1, high=5, step=2),
        "training.gan_loss": Choice(search="choice", values=("lsgan", "log")),
    }
    assert spec.loss_weights.cycle == 0.1
    assert spec.trial({"loss_weights.cycle": 3.0}).loss_weights.cycle == 3.0


def test_the_order_of_the_space_does_not_depend_on_the_file(read: Read) -> None:
    cycle, task = (
        "cycle: {search: uniform, low: 0, high: 1}",
        "task: {search: uniform, low: 0, high: 1}",
    )
    one = read(f"loss_weights:\n  {cycle}\n  {task}\n")
    other = read(f"loss_weights:\n  {task}\n  {cycle}\n")
    assert list(one.space) == list(other.space)


ONE_FAULT = {
    "order": (
        "loss_weights: {cycle: {search: uniform, low: 1, high: 1}}",
        "loss_weights.cycle: low must be below high, but low is 1 and high is 1",
    ),
    "log of zero": (
        "loss_weights: {cycle: {search: loguniform, low: 0, high: 1}}",
        "loss_weights.cycle: loguniform needs low > 0, but low is 0",
    ),
    "unknown kind": (
        "loss_weights: {cycle: {search: normal, low: 0, high: 1}}",
        "loss_weights.cycle.search = normal: must be one of: uniform, loguniform, int, choice",
    ),
    "missing bound": (
        "loss_weights: {cycle: {search: uniform, low: 0}}",
        "loss_weights.cycle.high is required",
    ),
    "misspelt bound": (
        "loss_weights: {cycle: {search: int, low: 0, high: 1, stepp: 1}}",
        "loss_weights.cycle.stepp: unknown key `stepp`; did you mean `step`?",
    ),
    "no values": (
        "loss_weights: {cycle: {search: choice, values: []}}",
        "loss_weights.cycle.values = []: must hold at least 1 value(s)",
    ),
    "low refused": (
        "loss_weights: {cycle: {search: uniform, low: -1, high: 1}}",
        "loss_weights.cycle = -1: must be >= 0",
    ),
    "high refused": (
        "training: {beta1: {search: uniform, low: 0.1, high: 1.5}}",
        "training.beta1 = 1.5: must be less than 1",
    ),
    "a choice refused": (
        "training: {gan_loss: {search: choice, values: [lsgan, hinge]}}",
        "training.gan_loss = hinge: must be one of: lsgan, log",
    ),
    "a value between refused": (
        "model: {generator: {factor: {search: int, low: 2, high: 4}}}",
        "model.generator.factor = 3: must be one of: 2, 4, 8",
    ),
    "an extreme that does not fit": (
        "model: {discriminator: {layers: {search: int, low: 2, high: 4}}}",
        "model.discriminator.layers = 4: a discriminator of 4 layers leaves less than 4 px of 32: take fewer layers",
    ),
}


@pytest.mark.parametrize(("text", "fault"), ONE_FAULT.values(), ids=ONE_FAULT.keys())
def test_a_faulty_distribution_gives_line_key_and_what_is_allowed(
    fail: Fail, text: str, fault: str
) -> None:
    assert fail(text) == [f"space.yaml:5: {fault}"]


def test_a_distribution_over_text_or_whole_numbers_must_draw_such(fail: Fail) -> None:
    assert fail("training:\n  gan_loss: {search: uniform, low: 0, high: 1}\n") == [
        "space.yaml:6: training.gan_loss = 0: must be one of: lsgan, log",
        "space.yaml:6: training.gan_loss = 1: must be one of: lsgan, log",
    ]
    assert fail("training:\n  pool_size: {search: uniform, low: 1, high: 4}\n") == [
        "space.yaml:6: training.pool_size = 1: must be a whole number",
        "space.yaml:6: training.pool_size = 4: must be a whole number",
    ]


@pytest.mark.parametrize(
    "key", ["seed", "data.source_val_fraction", "search.trials", "resources.max_concurrent"]
)
def test_distributions_are_refused_outside_of_what_a_trial_may_vary(fail: Fail, key: str) -> None:
    (line,) = fail("", f"{key}={{search: int, low: 1, high: 2}}")
    assert line.startswith(f"--set {key}: {key} = {{")
    assert line.endswith(": only loss_weights, training and model may hold a distribution")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("training.source.lr", "the source stage runs once a search"),
        ("training.source", "the source stage runs once a search"),
        ("training.augment.shift", "the source stage shares it, and runs once a search"),
        ("model.classifier.dropout", "the source stage trains this net, and runs once a search"),
        ("training.lr_decay_from", "the source stage shares it, and runs once a search"),
        ("training.epochs", "ASHA needs one budget for all trials"),
        ("training.steps_per_epoch", "ASHA needs one budget for all trials"),
    ],
)
def test_what_all_trials_share_cannot_be_searched(fail: Fail, key: str, why: str) -> None:
    (line,) = fail("", f"{key}={{search: choice, values: [1, 2]}}")
    assert line.startswith(f"--set {key}: {key} = {{")
    assert line.endswith(f": cannot be searched: {why}")


@pytest.mark.parametrize("key", ["semantic", "feature", "information"])
def test_cyclegan_cannot_search_the_weights_of_terms_it_does_not_have(fail: Fail, key: str) -> None:
    (line,) = fail(
        f"method: cyclegan\nloss_weights:\n  {key}: {{search: uniform, low: 0, high: 1}}\n"
    )
    assert line == (
        f"space.yaml:7: loss_weights.{key}: has no effect in method cyclegan; fix it, or take method cycada"
    )


def test_cyclegan_cannot_search_what_only_cycadas_terms_read(fail: Fail) -> None:
    (line,) = fail("method: cyclegan\n", "training.feature_gate={search: uniform, low: 0, high: 1}")
    assert line.startswith(
        "--set training.feature_gate: training.feature_gate: has no effect in method cyclegan"
    )


def test_sizes_that_only_two_distributions_together_break_are_found(fail: Fail) -> None:
    head = "name: a\ndata: {source: {domain: a, size: 16}, target: {domain: b, size: 16}}\n"
    text = """\
model:
  generator:
    name: {search: choice, values: [resnet, unshuffle]}
    factor: {search: choice, values: [2, 8]}
"""
    assert fail(text, head=head) == [
        "space.yaml:6: model.generator.factor = 8, model.generator.name = unshuffle:"
        " generator factor 8 leaves less than 4 px of 16"
    ]


SPACE = """\
loss_weights:
  cycle: {search: uniform, low: 0, high: 10}
  semantic: {search: choice, values: [0, 1]}
  task: 1
model: {generator: {blocks: {search: int, low: 1, high: 5, step: 2}}}
search:
  start_points:
    - """  # the first start point stands in line 12


def test_start_points_may_be_nested_or_dotted_and_partial(read: Read) -> None:
    spec = read(
        SPACE + "loss_weights: {cycle: 1, semantic: 0}\n    - {model.generator.blocks: 3}\n"
    )
    assert spec.search.start_points == (
        {"loss_weights.cycle": 1.0, "loss_weights.semantic": 0},
        {"model.generator.blocks": 3},
    )


def test_a_start_point_may_repeat_fixed_values_and_defaults(read: Read) -> None:
    spec = read(SPACE + "loss_weights: {cycle: 1, task: 1, adversarial: 1}\n")
    assert spec.search.start_points == ({"loss_weights.cycle": 1.0},)


@pytest.mark.parametrize(
    ("point", "fault"),
    [
        ("{loss_weights.cycle: 11}", ".0: loss_weights.cycle = 11: must be a number from 0 to 10"),
        (
            "{loss_weights.cycle: much}",
            ".0: loss_weights.cycle = much: must be a number from 0 to 10",
        ),
        ("{loss_weights.semantic: true}", ".0: loss_weights.semantic = true: must be one of: 0, 1"),
        (
            "{model.generator.blocks: 2}",
            ".0: model.generator.blocks = 2: must be 1 plus a multiple of 2",
        ),
        ("7", ".0 = 7: must be a mapping such as {loss_weights.cycle: 1}"),
        (
            "{loss_weights.task: 2}",
            ".0: loss_weights.task = 2: not searched;"
            " searched are loss_weights.cycle, loss_weights.semantic, model.generator.blocks",
        ),
    ],
)
def test_a_start_point_outside_of_the_space_is_refused(fail: Fail, point: str, fault: str) -> None:
    assert fail(SPACE + point + "\n") == [f"space.yaml:12: search.start_points{fault}"]


def test_start_points_must_be_a_list(fail: Fail) -> None:
    assert fail("search: {start_points: 3}\n") == [
        "space.yaml:5: search.start_points = 3: must be a list of settings"
    ]


CONDITIONAL = """training:
  gan_loss: {search: choice, values: [lsgan, log]}
loss_weights:
  identity: {search: uniform, low: 1, high: 5, when: {%s: %s}, otherwise: 0}
"""


def test_a_condition_loads_and_is_dumped(read: Read) -> None:
    spec = read(CONDITIONAL % ("training.gan_loss", "log"))
    assert spec.loss_weights.identity == 0
    assert spec.space["loss_weights.identity"].when == {"training.gan_loss": ("log",)}
    assert read(dump(spec), head="") == spec


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "training.gan_los",
            "log",
            "training.gan_los is no searched choice; there are training.gan_loss",
        ),
        ("loss_weights.identity", "log", "loss_weights.identity is no searched choice"),
        (
            "training.gan_loss",
            "[log, wgan]",
            "training.gan_loss is never wgan, but one of: lsgan, log",
        ),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(
    fail: Fail, key: str, value: str, says: str
) -> None:
    (line,) = fail(CONDITIONAL % (key, value))
    assert says in line


def test_a_condition_needs_the_value_to_take_without_it(fail: Fail) -> None:
    (line,) = fail((CONDITIONAL % ("training.gan_loss", "log")).replace(", otherwise: 0", ""))
    assert "`when` needs `otherwise`" in line
