"""Distributions in a file: where they may be, and what they may draw there."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from adaptune.spec import SearchSpec
from adaptune.spec.diagnostics import Diagnostics
from adaptune.spec.distributions import Choice, Int, LogUniform, Uniform
from adaptune.spec.space import extract

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]


def test_distributions_are_extracted_and_replaced_by_a_value() -> None:
    condition = {"when": {"training.gan_loss": "log"}, "otherwise": 0}
    tree: dict[str, object] = {
        "training": {"gan_loss": {"search": "choice", "values": ["lsgan", "log"]}, "epochs": 3},
        "loss_weights": {
            "identity": {"search": "uniform", "low": 1, "high": 5, **condition},
            "cycle": {"search": "loguniform", "low": 0.1, "high": 30},
        },
    }
    space = extract(tree, Diagnostics("space.yaml", {}))
    assert tree == {
        "training": {"gan_loss": "lsgan", "epochs": 3},
        "loss_weights": {"identity": 0, "cycle": 0.1},
    }
    assert list(space) == ["loss_weights.cycle", "loss_weights.identity", "training.gan_loss"]


def test_a_file_is_read_with_its_distributions_in_place(read: Read) -> None:
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
    assert spec.loss_weights.cycle == spec.space["loss_weights.cycle"]


def test_the_order_of_the_space_does_not_depend_on_the_file(read: Read) -> None:
    cycle = "cycle: {search: uniform, low: 0, high: 1}"
    task = "task: {search: uniform, low: 0, high: 1}"
    cycle_first = read(f"loss_weights:\n  {cycle}\n  {task}\n")
    task_first = read(f"loss_weights:\n  {task}\n  {cycle}\n")
    assert list(cycle_first.space) == list(task_first.space)


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
        "training: {gan_loss: {search: choice, values: [lsgan, wgan]}}",
        "training.gan_loss = wgan: must be one of: lsgan, log, hinge",
    ),
    "a value between refused": (
        "model: {generator: {factor: {search: int, low: 2, high: 4}}}",
        "model.generator.factor = 3: must be one of: 2, 4, 8",
    ),
    "a bound that does not fit": (
        "model: {discriminator: {layers: {search: int, low: 2, high: 4}}}",
        "model.discriminator.layers = 4: a discriminator of 4 layers takes 64 to 512 px, not 32:"
        " take fewer layers, or images of 64 px, which all networks take",
    ),
}


@pytest.mark.parametrize(("text", "fault"), ONE_FAULT.values(), ids=ONE_FAULT.keys())
def test_a_faulty_distribution_gives_line_key_and_what_is_allowed(
    fail: Fail, text: str, fault: str
) -> None:
    assert fail(text) == [f"space.yaml:5: {fault}"]


def test_a_distribution_over_text_or_whole_numbers_must_draw_such(fail: Fail) -> None:
    assert fail("training:\n  gan_loss: {search: uniform, low: 0, high: 1}\n") == [
        "space.yaml:6: training.gan_loss = 0: must be one of: lsgan, log, hinge",
        "space.yaml:6: training.gan_loss = 1: must be one of: lsgan, log, hinge",
    ]
    assert fail("training:\n  pool_size: {search: uniform, low: 1, high: 4}\n") == [
        "space.yaml:6: training.pool_size = 1: must be a whole number",
        "space.yaml:6: training.pool_size = 4: must be a whole number",
    ]


@pytest.mark.parametrize("written", ["true", '"true"'])
def test_true_labels_need_no_quotes(read: Read, written: str) -> None:
    fixed = read(f"training: {{semantic_labels: {written}}}\n")
    assert fixed.trial({}).training.semantic_labels == "true"
    searched = read(
        f"training:\n  semantic_labels: {{search: choice, values: [predicted, {written}]}}\n"
    )
    assert searched.space["training.semantic_labels"].bounds() == ("predicted", "true")
    trial = searched.trial({"training.semantic_labels": "true"})
    assert trial.training.semantic_labels == "true"


@pytest.mark.parametrize("written", ["true", '"true"'])
def test_a_condition_and_a_start_point_may_name_true_labels_without_quotes(
    read: Read, written: str
) -> None:
    spec = read(
        f"training: {{semantic_labels: {{search: choice, values: [predicted, {written}]}}}}\n"
        "loss_weights:\n"
        "  identity: {search: uniform, low: 0, high: 5, otherwise: 0,"
        f" when: {{training.semantic_labels: {written}}}}}\n"
        f"search: {{start_points: [{{training.semantic_labels: {written}}}]}}\n"
    )
    assert spec.space["loss_weights.identity"].is_drawn({"training.semantic_labels": "true"})
    assert spec.search.start_points == ({"training.semantic_labels": "true"},)


@pytest.mark.parametrize(
    "key", ["seed", "data.source_val_fraction", "search.trials", "resources.max_concurrent"]
)
def test_distributions_are_refused_outside_of_what_a_trial_may_vary(fail: Fail, key: str) -> None:
    (line,) = fail("", f"{key}={{search: int, low: 1, high: 2}}")
    assert line.startswith(f"--set {key}: {key} = {{")
    assert line.endswith(": only loss_weights, training and model may hold a distribution")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("training.source.lr", "f_S is trained once per search"),
        ("training.source", "f_S is trained once per search"),
        ("training.augment.shift", "it also applies to f_S, which is trained once per search"),
        ("model.classifier.dropout", "f_S has this network, and is trained once per search"),
        ("training.lr_decay_from", "it also applies to f_S, which is trained once per search"),
        ("training.epochs", "early stopping needs the same budget for all trials"),
        ("training.steps_per_epoch", "early stopping needs the same budget for all trials"),
    ],
)
def test_what_all_trials_share_cannot_be_searched(fail: Fail, key: str, reason: str) -> None:
    (line,) = fail("", f"{key}={{search: choice, values: [1, 2]}}")
    assert line.startswith(f"--set {key}: {key} = {{")
    assert line.endswith(f": cannot be searched: {reason}")


@pytest.mark.parametrize("key", ["semantic", "feature", "information"])
def test_cyclegan_cannot_search_the_weights_of_terms_it_does_not_have(fail: Fail, key: str) -> None:
    (line,) = fail(
        f"method: cyclegan\nloss_weights:\n  {key}: {{search: uniform, low: 0, high: 1}}\n"
    )
    assert line == (
        f"space.yaml:7: loss_weights.{key}: has no effect in method cyclegan;"
        " fix it, or take method cycada"
    )


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("training.feature_gate", "[0.5, 0.6]"),
        ("training.feature_discriminator_lr", "[0.1, 0.2]"),
        ("training.semantic_gate", "[1, 2]"),
        ("training.semantic_labels", "[predicted, true]"),
        ("model.feature_discriminator.width", "[100, 200]"),
    ],
)
def test_cyclegan_cannot_search_what_only_cycadas_terms_read(
    fail: Fail, key: str, values: str
) -> None:
    (line,) = fail("method: cyclegan\n", f"{key}={{search: choice, values: {values}}}")
    assert line.startswith(f"--set {key}: {key}: has no effect in method cyclegan")


def test_an_unknown_method_is_one_fault_only(fail: Fail) -> None:
    text = "method: dann\nloss_weights: {feature: {search: uniform, low: 0, high: 1}}\n"
    assert fail(text) == ["space.yaml:5: method = dann: must be one of: cycada, cyclegan"]


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
        " generator unshuffle with factor 8 takes multiples of 8 from 32 to 512 px, not 16:"
        " take a smaller factor, or images of 32 px, which all networks take"
    ]


CONDITIONAL = """training:
  gan_loss: {search: choice, values: [lsgan, log]}
loss_weights:
  identity: {search: uniform, low: 1, high: 5, when: {%s: %s}, otherwise: 0}
"""


def test_a_condition_is_read(read: Read) -> None:
    spec = read(CONDITIONAL % ("training.gan_loss", "log"))
    assert spec.trial({}).loss_weights.identity == 0
    assert spec.space["loss_weights.identity"].when == {"training.gan_loss": ("log",)}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "training.gan_los",
            "log",
            "training.gan_los is not a searched choice; those are: training.gan_loss",
        ),
        (
            "loss_weights.identity",
            "log",
            "loss_weights.identity is not a searched choice; those are: training.gan_loss",
        ),
        (
            "training.gan_loss",
            "[log, wgan]",
            "training.gan_loss is never wgan, but one of: lsgan, log",
        ),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(
    fail: Fail, key: str, value: str, message: str
) -> None:
    (line,) = fail(CONDITIONAL % (key, value))
    assert line == f"space.yaml:8: loss_weights.identity: when: {message}"


def test_a_condition_needs_the_value_to_take_without_it(fail: Fail) -> None:
    (line,) = fail((CONDITIONAL % ("training.gan_loss", "log")).replace(", otherwise: 0", ""))
    assert "`when` needs `otherwise`" in line


@pytest.mark.parametrize("sampler", ["grid", "{name: grid, points: 2}"])
def test_a_grid_refuses_conditions_with_their_line(fail: Fail, sampler: str) -> None:
    text = CONDITIONAL % ("training.gan_loss", "log")
    assert fail(f"{text}search: {{sampler: {sampler}}}\n") == [
        "space.yaml:8: loss_weights.identity: when:"
        " sampler grid tries all combinations, which excludes `when`"
    ]


def test_wide_ranges_of_networks_are_checked_in_reasonable_time(read: Read) -> None:
    start_s = time.process_time()
    read("""\
model:
  generator: {width: {search: int, low: 8, high: 256}, blocks: {search: int, low: 1, high: 200}}
  discriminator: {width: {search: int, low: 8, high: 256}}
  feature_discriminator: {width: {search: int, low: 8, high: 1000}}
""")
    assert time.process_time() - start_s < 3  # all pairs of values: 10 s
