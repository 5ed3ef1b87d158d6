from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adaptune.spec import SearchSpec, dump_spec, fingerprint, load_spec

Read = Callable[..., SearchSpec]

SPACES = Path(__file__).parents[3] / "search_spaces"
SEARCHED = """\
loss_weights:
  cycle: {search: loguniform, low: 0.1, high: 30}
  information: {search: uniform, low: 0, high: 1}
search:
  start_points:
    - loss_weights: {cycle: 1, information: 0}
"""


@pytest.mark.parametrize("file", sorted(SPACES.glob("*.yaml")), ids=lambda file: file.name)
def test_every_search_space_loads_and_survives_a_round_trip(file: Path, tmp_path: Path) -> None:
    spec = load_spec(file)
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_spec(spec), encoding="utf-8")
    again = load_spec(copy)
    assert again == spec
    assert list(again.space) == list(spec.space)
    assert fingerprint(again) == fingerprint(spec)


def test_text_that_looks_like_a_number_survives_a_round_trip(read: Read) -> None:
    spec = read("", "name='1e-3'")
    assert read(dump_spec(spec), head="") == spec


def test_a_condition_survives_a_round_trip(read: Read) -> None:
    text = """\
training:
  gan_loss: {search: choice, values: [lsgan, log]}
loss_weights:
  identity: {search: uniform, low: 1, high: 5, when: {training.gan_loss: log}, otherwise: 0}
"""
    spec = read(text)
    assert read(dump_spec(spec), head="") == spec


def test_a_dump_begins_with_the_format_and_has_all_defaults(read: Read) -> None:
    lines = dump_spec(read("")).splitlines()
    assert lines[:2] == ["format: 2", "name: small"]
    assert any("keep_checkpoints: 2" in line for line in lines)


def test_a_dump_has_distributions_in_the_place_of_values_without_their_defaults(
    read: Read,
) -> None:
    lines = dump_spec(read(SEARCHED)).splitlines()
    assert "  cycle: {search: loguniform, low: 0.1, high: 30.0}" in lines


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "search.trials=99",
        "storage.out=elsewhere",
        "resources.max_concurrent=2",
        "resources.reuse_workers=false",
        "execution=in_process",
        "data.root=elsewhere",
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
        "search.classifiers_per_gan=2",
    ],
)
def test_the_fingerprint_tells_other_searches_apart(read: Read, override: str) -> None:
    assert fingerprint(read(SEARCHED, override)) != fingerprint(read(SEARCHED))


@pytest.mark.parametrize("kind", ["imagefolder", "parquet"])
def test_the_fingerprint_allows_data_to_be_mounted_elsewhere(kind: str, read: Read) -> None:
    overrides = (f"data.source.domain={kind}:/a/b", f"data.target.domain={kind}:~/c")
    moved = (f"data.source.domain={kind}:data/b", f"data.target.domain={kind}:/mnt/c")
    assert fingerprint(read(SEARCHED, *overrides)) == fingerprint(read(SEARCHED, *moved))
    assert fingerprint(read(SEARCHED, *overrides)) != fingerprint(read(SEARCHED, moved[0]))


def test_the_fingerprint_allows_a_named_test_to_be_mounted_elsewhere(read: Read) -> None:
    first = fingerprint(read(SEARCHED, "data.target.test=imagefolder:/a/test"))
    assert fingerprint(read(SEARCHED, "data.target.test=imagefolder:b/test")) == first
    assert fingerprint(read(SEARCHED, "data.target.test=usps:test")) != first
    assert fingerprint(read(SEARCHED)) != first


def test_the_fingerprint_knows_an_earlier_search_by_its_name(read: Read) -> None:
    first = fingerprint(read(SEARCHED, "search.warm_start=[results/small, other]"))
    assert fingerprint(read(SEARCHED, "search.warm_start=[/mnt/small/, ~/other]")) == first
    assert fingerprint(read(SEARCHED, "search.warm_start=[results/large, other]")) != first
    assert fingerprint(read(SEARCHED, "search.warm_start=[results/small]")) != first


def test_the_fingerprint_does_not_depend_on_how_a_value_is_written(read: Read) -> None:
    override = "loss_weights.cycle={search: loguniform, low: 1e-1, high: 3.0e+1}"
    assert fingerprint(read(SEARCHED, override)) == fingerprint(read(SEARCHED))


def test_the_place_of_pretrained_weights_may_change_but_not_their_content(read: Read) -> None:
    def backbone(weights: str, digest: str = "a" * 64) -> str:
        text = "model: {classifier: {name: torchvision:resnet18, weights: %s, weights_sha256: %s}}"
        return fingerprint(read(text % (weights, digest)))

    assert backbone("/a.pth") == backbone("/mnt/b.safetensors")
    assert backbone("/a.pth") != backbone("/a.pth", "b" * 64)
