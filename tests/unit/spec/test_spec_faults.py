from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adaptune.errors import SpecError
from adaptune.spec import load

Fail = Callable[..., list[str]]


def test_a_missing_file_names_those_that_there_are() -> None:
    with pytest.raises(
        SpecError, match=r"no search space file nope\.yaml; search_spaces/ has .*cycada\.yaml"
    ):
        load("nope.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_bytes(b"name: \xff")
    with pytest.raises(SpecError, match=r"space\.yaml: not a text in UTF-8"):
        load(file)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("name: a\nseed: [1\n", "space.yaml:3: not YAML: "),
        ("name: a\n\tseed: 1\n", "space.yaml:2: not YAML: "),
        ("name: a\n? [b]\n: 1\n", "space.yaml:2: not YAML: a key must be plain text"),
        ("name: a\n---\nname: b\n", "space.yaml:2: not YAML: but found another document"),
        ("a: &x {b: *x}\n", "space.yaml:1: not YAML: deeper than 20 levels"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(fail: Fail, text: str, start: str) -> None:
    (line,) = fail(text, head="")
    assert line.startswith(start)


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n"])
def test_the_top_level_must_be_a_mapping(fail: Fail, text: str) -> None:
    assert fail(text, head="") == [
        "space.yaml:1: the top level must be a mapping such as `name: my-search`"
    ]


def test_what_is_required_is_named(fail: Fail) -> None:
    assert fail("seed: 1\n", head="") == [
        "space.yaml: name is required",
        "space.yaml: data is required",
    ]
    text = "name: a\ndata:\n  source: {size: 32}\n  target: {domain: b}\n"
    assert fail(text, head="") == ["space.yaml:3: data.source.domain is required"]


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
        "5: evaluation.zzz: unknown key `zzz`; known are yardsticks",
    ),
    "misspelt section": (
        "trainning: {}\n",
        "5: trainning: unknown key `trainning`; did you mean `training`?",
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
        "5: loss_weights.cycle = true: must be a number",
    ),
    "not whole": ("training: {epochs: 1.5}\n", "5: training.epochs = 1.5: must be a whole number"),
    "not listed": (
        "training: {gan_loss: w}\n",
        "5: training.gan_loss = w: must be one of: lsgan, log",
    ),
    "wrong in both ways": (
        "resources: {workers_per_trial: 0}\n",
        "5: resources.workers_per_trial = 0: must be auto, or >= 1",
    ),
    "empty section": (
        "training:\n",
        "5: training = null: must be a mapping; leave the key out for the defaults",
    ),
    "no text": ("storage: {out: 3}\n", "5: storage.out = 3: must be text"),
    "mapping without search": (
        "loss_weights:\n  cycle: {low: 1, high: 2}\n",
        '6: loss_weights.cycle = {"low": 1, "high": 2}: must be a number,'
        " or a distribution such as {search: uniform, low: 0, high: 1}",
    ),
    "the schema's own field": (
        "space: {}\n",
        "5: space: unknown key `space`; known are name, method, seed, execution, data, model, training,"
        " loss_weights, search, resources, storage, evaluation",
    ),
    "sizes that do not fit": (
        "model: {classifier: {name: lenet}, discriminator: {layers: 4}}\n",
        "2: data: a discriminator of 4 layers leaves less than 4 px of 32: take fewer layers",
    ),
}


@pytest.mark.parametrize(("text", "fault"), ONE_FAULT.values(), ids=ONE_FAULT.keys())
def test_a_fault_gives_line_key_value_and_what_is_allowed(
    fail: Fail, text: str, fault: str
) -> None:
    assert fail(text) == [f"space.yaml:{fault}"]


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
        "space.yaml:10: training.precision = fp8: must be one of: fp32, bf16",
        "space.yaml:13: search.start_points.0: loss_weights.identity = 7: must be a number from -1 to 1",
    ]
