"""Overrides, and where files are searched for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adaptune.errors import SpecError
from adaptune.spec import SearchSpec, load_spec
from adaptune.spec.distributions import Uniform

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]

SMALL = "name: small\ndata: {source: {domain: a}, target: {domain: b}}\n"
SEARCHED = """\
loss_weights:
  cycle: {search: loguniform, low: 0.1, high: 30}
  information: {search: uniform, low: 0, high: 1}
search:
  start_points:
    - loss_weights: {cycle: 1, information: 0}
    - loss_weights: {cycle: 1, information: 1}
"""


def test_an_override_wins_over_the_file(read: Read) -> None:
    overrides = ("seed=2", "search.trials=3", "resources.wait_for_nodes_s=1e-3")
    spec = read("seed: 1\n", *overrides)
    assert spec.seed == 2
    assert spec.search.trials == 3
    assert spec.resources.wait_for_nodes_s == 0.001


def test_an_override_creates_the_sections_on_its_path(read: Read) -> None:
    trial = read("", "training.augment.shift=0.1", "training.classifier_lr=1e-3").trial({})
    assert trial.training.augment.shift == 0.1
    assert trial.training.classifier_lr == 0.001


def test_an_override_may_be_a_distribution_or_a_part_of_one(read: Read) -> None:
    spec = read(
        SEARCHED,
        "loss_weights.task={search: uniform, low: 0, high: 1}",
        "loss_weights.cycle.high=50",
    )
    assert spec.space["loss_weights.task"] == Uniform(search="uniform", low=0, high=1)
    assert spec.space["loss_weights.cycle"].bounds() == (0.1, 50)


def test_an_override_mends_a_faulty_value(read: Read) -> None:
    assert read("seed: -1\n", "seed=3").seed == 3


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (
            "loss_weights.cylce=1",
            "--set loss_weights.cylce: loss_weights.cylce:"
            " unknown key `cylce`; did you mean `cycle`?",
        ),
        ("sead.a=1", "--set sead.a: sead: unknown key `sead`; did you mean `seed`?"),
        (
            "loss_weights.cycle=-1",
            "--set loss_weights.cycle: loss_weights.cycle = -1: must be >= 0",
        ),
        ("name.a=1", "--set name.a: name.a is inside a single value, not in a section"),
        ("seed=[1", "--set seed: [1 is not YAML"),
        ("seed", "--set seed: must have the form key.path=value"),
        ("a..b=1", "--set a..b=1: must have the form key.path=value"),
        ("a\x1b=1", "--set a\\x1b=1: must have the form key.path=value"),
        ("a\udc80=1", "--set a\\udc80=1: must have the form key.path=value"),
    ],
)
def test_a_faulty_override_is_named_by_its_flag(fail: Fail, override: str, fault: str) -> None:
    assert fail("", override) == [fault]


def test_a_missing_file_names_those_that_there_are() -> None:
    with pytest.raises(
        SpecError, match=r"no search space file nope\.yaml; search_spaces/ has .*cycada\.yaml"
    ):
        load_spec("nope.yaml")


def test_files_are_found_here_and_then_in_search_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_spec("cycada.yaml").name == "cycada"  # the repository's
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "cycada.yaml").write_text(SMALL)
    assert load_spec("cycada.yaml").name == "small"
    (tmp_path / "cycada.yaml").write_text(SMALL.replace("small", "nearest"))
    assert load_spec("cycada.yaml").name == "nearest"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_bytes(b"name: \xff")
    with pytest.raises(SpecError, match=r"space\.yaml: not a text in UTF-8"):
        load_spec(file)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("name: a\nseed: [1\n", "space.yaml:3: not YAML: "),
        ("name: a\n\tseed: 1\n", "space.yaml:2: not YAML: "),
        ("name: a\n? [b]\n: 1\n", "space.yaml:2: a key must be plain text"),
        ("name: a\n---\nname: b\n", "space.yaml:2: not YAML: but found another document"),
        ("a: &x {b: *x}\n", "space.yaml:1: deeper than 20 levels"),
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
