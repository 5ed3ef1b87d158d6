"""Messages about a faulty file: line, key, value, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adaptune.errors import SpecError
from adaptune.spec.diagnostics import Diagnostics, quote, unknown

Fail = Callable[..., list[str]]

ONE_FAULT = {
    "repeated key": (
        "loss_weights:\n  cycle: 1\n  cycle: 2\n",
        "7: loss_weights.cycle is given twice, first in line 6",
    ),
    "misspelt key": (
        "loss_weights: {cylce: 1}\n",
        "5: loss_weights.cylce: unknown key `cylce`; did you mean `cycle`?",
    ),
    "unknown key": (
        "evaluation: {zzz: 1}\n",
        "5: evaluation.zzz: unknown key `zzz`; possible keys: baselines",
    ),
    "misspelt section": (
        "trainning: {}\n",
        "5: trainning: unknown key `trainning`; did you mean `training`?",
    ),
    "unknown section": (
        "zzz: {}\n",
        "5: zzz: unknown key `zzz`; possible keys: format, name, method, seed, execution, data,"
        " model, training, loss_weights, search, resources, storage, evaluation, tracking",
    ),
    "too small": ("loss_weights:\n  cycle: -1\n", "6: loss_weights.cycle = -1: must be >= 0"),
    "must be above": (
        "training: {init_gain: 0}\n",
        "5: training.init_gain = 0: must be greater than 0",
    ),
    "must be below": ("training: {beta1: 1}\n", "5: training.beta1 = 1: must be less than 1"),
    "too large": ("training: {feature_gate: 2}\n", "5: training.feature_gate = 2: must be <= 1"),
    "infinite": ("loss_weights: {cycle: .inf}\n", "5: loss_weights.cycle = inf: must be finite"),
    "no number": (
        "loss_weights: {cycle: much}\n",
        "5: loss_weights.cycle = much: must be a number",
    ),
    "quoted number": (
        'loss_weights: {cycle: "1"}\n',
        "5: loss_weights.cycle = 1: must be a number",
    ),
    "yes for a number": (
        "loss_weights: {cycle: yes}\n",
        "5: loss_weights.cycle = yes: must be a number",
    ),
    "not whole": ("training: {epochs: 1.5}\n", "5: training.epochs = 1.5: must be a whole number"),
    "not listed": (
        "training: {gan_loss: w}\n",
        "5: training.gan_loss = w: must be one of: lsgan, log, hinge",
    ),
    "wrong in both ways": (
        "resources: {workers_per_trial: 0}\n",
        "5: resources.workers_per_trial = 0: must be auto, or >= 1",
    ),
    "empty section": (
        "training:\n",
        "5: training = null: must be a mapping; leave the key out for the defaults",
    ),
    "no text": ("storage: {out: [a]}\n", '5: storage.out = ["a"]: must be text'),
    "number for a text": (
        "storage: {out: 3}\n",
        "5: storage.out = 3: must be text: put it in quotes",
    ),
    "truth value for a text": (
        "storage: {out: true}\n",
        "5: storage.out = true: must be text: put it in quotes",
    ),
    "truth value for a name": (
        "search: {health: false}\n",
        "5: search.health = false: must be one of: off, warn, stop",
    ),
    "yes for a truth value": (
        "training: {compile: yes}\n",
        "5: training.compile = yes: must be true or false",
    ),
    "mapping without search": (
        "loss_weights:\n  cycle: {low: 1, high: 2}\n",
        '6: loss_weights.cycle = {"low": 1, "high": 2}: must be a number,'
        " or a distribution such as {search: uniform, low: 0, high: 1}",
    ),
    "other format": ("format: 1\n", "5: format = 1: must be 2"),
    "misspelt option": (
        "search: {scheduler: {name: median, min_trial: 3}}\n",
        "5: search.scheduler.min_trial: unknown key `min_trial`; did you mean `min_trials`?",
    ),
    "unknown algorithm": (
        "search: {sampler: bayes}\n",
        '5: search.sampler = {"name": "bayes"}:'
        " must be one of: tpe, curves, gp, cmaes, random, grid, qmc, nsga2",
    ),
    "sizes that do not fit": (
        "model: {classifier: {name: lenet}, discriminator: {layers: 4}}\n",
        "2: data: a discriminator of 4 layers takes 64 to 512 px, not 32: take fewer layers,"
        " or images of 64 px, which all networks take",
    ),
}


@pytest.mark.parametrize(("text", "fault"), ONE_FAULT.values(), ids=ONE_FAULT.keys())
def test_a_fault_gives_line_key_value_and_what_is_allowed(
    fail: Fail, text: str, fault: str
) -> None:
    assert fail(text) == [f"space.yaml:{fault}"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("evaluation.yardsticks", "false", "is now evaluation.baselines"),
        ("resources.fresh_workers", "true", "is now resources.reuse_workers (inverted)"),
    ],
)
def test_a_renamed_key_is_refused_with_its_new_name(
    fail: Fail, key: str, value: str, message: str
) -> None:
    section, name = key.split(".")
    assert fail(f"{section}:\n  {name}: {value}\n") == [f"space.yaml:6: {key} {message}"]
    assert fail("", f"{key}={value}") == [f"--set {key}: {key} {message}"]


def test_what_is_required_is_named(fail: Fail) -> None:
    assert fail("seed: 1\n", head="") == [
        "space.yaml: name is required",
        "space.yaml: data is required",
    ]
    text = "name: a\ndata:\n  source: {size: 32}\n  target: {domain: b}\n"
    assert fail(text, head="") == ["space.yaml:3: data.source.domain is required"]


def test_domains_that_differ_are_a_fault_of_the_data(fail: Fail) -> None:
    text = "name: a\ndata:\n  source: {domain: a, size: 64}\n  target: {domain: b}\n"
    assert fail(text, head="") == [
        "space.yaml:2: data: source and target must agree in size and channels:"
        " source is 64 px with 3, target 32 px with 3"
    ]


def test_all_faults_are_reported_at_once_in_the_order_of_the_file(fail: Fail) -> None:
    text = """\
seed: -1
loss_weights:
  cycle: {search: uniform, low: 3, high: 1}
  identity: {search: uniform, low: -1, high: 1}
  semantik: 1
training: {precision: fp8}
search:
  start_points:
    - {loss_weights.identity: 7}
"""
    assert fail(text, "loss_weights.task=-2") == [
        "--set loss_weights.task: loss_weights.task = -2: must be >= 0",
        "space.yaml:5: seed = -1: must be >= 0",
        "space.yaml:7: loss_weights.cycle: low must be below high, but low is 3 and high is 1",
        "space.yaml:8: loss_weights.identity = -1: must be >= 0",
        "space.yaml:9: loss_weights.semantik: unknown key `semantik`; did you mean `semantic`?",
        "space.yaml:10: training.precision = fp8: must be one of: fp32, bf16, auto",
        "space.yaml:13: search.start_points.0: loss_weights.identity = 7:"
        " must be a number from -1 to 1",
    ]


def test_a_fault_is_located_at_the_nearest_key_around_it() -> None:
    diagnostics = Diagnostics("a.yaml", {("data",): 3, ("data", "source"): 4}, {("model",)})
    diagnostics.add(("data", "source", "size"), "in line 4")
    diagnostics.add(("data", "root"), "in line 3")
    diagnostics.add(("search",), "in the file")
    diagnostics.add(("model", "generator"), "in an override")
    with pytest.raises(SpecError) as caught:
        diagnostics.raise_any()
    assert str(caught.value).split("\n") == [
        "a.yaml: in the file",
        "--set model: in an override",
        "a.yaml:3: in line 3",
        "a.yaml:4: in line 4",
    ]


def test_a_message_is_reported_once_and_none_raises_nothing() -> None:
    diagnostics = Diagnostics("a.yaml", {})
    diagnostics.raise_any()
    assert not diagnostics
    diagnostics.add_value(("seed",), 0.5, "must be a whole number")
    diagnostics.add_value(("seed",), 0.5, "must be a whole number")
    assert diagnostics
    with pytest.raises(SpecError, match=r"^a\.yaml: seed = 0\.5: must be a whole number$"):
        diagnostics.raise_any()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.50, "1.5"),
        (True, "true"),
        (None, "null"),
        ("text", "text"),
        ([1, "a"], '[1, "a"]'),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 57 + "..."),
    ],
)
def test_a_value_is_quoted_in_yaml_and_cut_at_60_characters(value: object, text: str) -> None:
    assert quote(value) == text


def test_a_message_shows_control_characters_of_keys_and_values_as_escapes(fail: Fail) -> None:
    assert fail('search: {"a\\n\\e[2J": 1}\n')[0].startswith(r"space.yaml:5: search.a\n\x1b[2J: ")
    (line,) = fail('training: {gan_loss: "\\u202e\\n"}\n')
    assert line == r"space.yaml:5: training.gan_loss = \u202e\n: must be one of: lsgan, log, hinge"


def test_an_unknown_key_gets_the_nearest_one_or_all_of_them() -> None:
    assert unknown("sead", ["name", "seed"]) == "unknown key `sead`; did you mean `seed`?"
    assert unknown("zzz", ["name", "seed"]) == "unknown key `zzz`; possible keys: name, seed"
