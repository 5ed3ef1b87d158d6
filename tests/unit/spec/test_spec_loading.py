"""Overrides, where files are looked for, and writing a spec back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adaptune.spec import SearchSpec, dump, fingerprint, load
from adaptune.spec.distributions import Uniform

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]

SPACES = Path(__file__).parents[3] / "search_spaces"

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
    spec = read("seed: 1\n", "seed=2", "training.augment.shift=0.1", "training.classifier_lr=1e-3")
    assert (spec.seed, spec.training.augment.shift, spec.training.classifier_lr) == (2, 0.1, 0.001)


def test_an_override_may_be_a_distribution_or_a_part_of_one(read: Read) -> None:
    spec = read(
        SEARCHED,
        "loss_weights.task={search: uniform, low: 0, high: 1}",
        "loss_weights.cycle.high=50",
    )
    assert spec.space["loss_weights.task"] == Uniform(search="uniform", low=0, high=1)
    assert spec.space["loss_weights.cycle"].extremes() == (0.1, 50)


@pytest.mark.parametrize("written", ["true", '"true"'])
def test_true_labels_need_no_quotes(read: Read, written: str) -> None:
    spec = read(f"training: {{semantic_labels: {written}}}\n")
    assert spec.training.semantic_labels == "true"
    assert read("training:\n  semantic_labels: {search: choice, values: [predicted, true]}\n").space


def test_start_points_lose_what_an_override_fixes_and_repeats_go(read: Read) -> None:
    spec = read(SEARCHED, "loss_weights.information=0")
    assert list(spec.space) == ["loss_weights.cycle"]
    assert spec.search.start_points == ({"loss_weights.cycle": 1.0},)


def test_start_points_go_when_overrides_fix_all_of_them(read: Read) -> None:
    assert read(SEARCHED, "loss_weights={cycle: 2}").search.start_points == ()


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (
            "loss_weights.cylce=1",
            "--set loss_weights.cylce: loss_weights.cylce: unknown key `cylce`; did you mean `cycle`?",
        ),
        ("sead.a=1", "--set sead.a: sead: unknown key `sead`; did you mean `seed`?"),
        (
            "loss_weights.cycle=-1",
            "--set loss_weights.cycle: loss_weights.cycle = -1: must be >= 0",
        ),
        ("name.a=1", "--set name.a: name.a lies in a single value, not in a section"),
        ("seed=[1", "--set seed: [1 is not YAML"),
        ("seed", "--set seed: must have the form key.path=value"),
        ("a..b=1", "--set a..b=1: must have the form key.path=value"),
    ],
)
def test_a_faulty_override_is_named_by_its_flag(fail: Fail, override: str, fault: str) -> None:
    assert fail("", override) == [fault]


def test_an_override_mends_a_faulty_value(read: Read) -> None:
    assert read("seed: -1\n", "seed=3").seed == 3


def test_files_are_found_here_and_then_in_search_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load("cycada.yaml").name == "cycada"  # the repository's
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "cycada.yaml").write_text(SMALL)
    assert load("cycada.yaml").name == "small"
    (tmp_path / "cycada.yaml").write_text(SMALL.replace("small", "nearest"))
    assert load("cycada.yaml").name == "nearest"


@pytest.mark.parametrize("number", ["1e-3", "1E-3", "1.0e-3", ".1e-2", "0.001"])
def test_scientific_notation_is_a_number(read: Read, number: str) -> None:
    assert read(f"training: {{classifier_lr: {number}}}\n").training.classifier_lr == 0.001


def test_anchors_and_merges_are_no_repeated_keys(read: Read) -> None:
    head = "name: a\ndata:\n  source: &both {domain: a, channels: 1}\n  target: {<<: *both, domain: b}\n"
    spec = read("", head=head)
    assert (spec.data.target.domain, spec.data.target.channels) == ("b", 1)


@pytest.mark.parametrize("file", sorted(SPACES.glob("*.yaml")), ids=lambda file: file.name)
def test_every_search_space_loads_and_survives_a_round_trip(file: Path, tmp_path: Path) -> None:
    spec = load(file)
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump(spec), encoding="utf-8")
    again = load(copy)
    assert again == spec
    assert list(again.space) == list(spec.space)
    assert fingerprint(again) == fingerprint(spec)


def test_text_that_looks_like_a_number_survives_a_round_trip(read: Read) -> None:
    spec = read("", "name='1e-3'")
    assert read(dump(spec), head="") == spec


def test_a_dump_spells_the_defaults_out(read: Read) -> None:
    assert "keep_checkpoints: 2" in dump(read(""))


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "search.trials=99",
        "storage.out=elsewhere",
        "resources.max_concurrent=2",
        "execution=in_process",
    ],
)
def test_the_fingerprint_allows_what_a_resume_may_change(read: Read, override: str) -> None:
    assert fingerprint(read(SEARCHED, override)) == fingerprint(read(SEARCHED))


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "loss_weights.cycle=1",
        "loss_weights.cycle.high=31",
        "training.epochs=9",
        "search.start_points=[]",
    ],
)
def test_the_fingerprint_tells_other_searches_apart(read: Read, override: str) -> None:
    assert fingerprint(read(SEARCHED, override)) != fingerprint(read(SEARCHED))
