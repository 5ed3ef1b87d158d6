"""Types of plain text in YAML, read and written."""

from __future__ import annotations

import math
import random

import pytest
import yaml

from adaptune.spec.yaml_reader import parse
from adaptune.spec.yaml_types import ContentError, Dumper


@pytest.mark.parametrize("number", ["1e-3", "1E-3", "1.0e-3", ".1e-2", "0.001", "+1e-3"])
def test_scientific_notation_is_a_number(number: str) -> None:
    assert parse(f"rate: {number}").tree == {"rate": 0.001}


@pytest.mark.parametrize("text", ["e3", "1e", "e-3x", "1-3"])
def test_text_that_only_resembles_a_number_stays_text(text: str) -> None:
    assert parse(f"rate: {text}").tree == {"rate": text}


def test_text_that_would_be_read_as_a_number_is_quoted_when_dumped() -> None:
    dumped = yaml.dump({"name": "1e-3"}, Dumper=Dumper)
    assert dumped == "name: '1e-3'\n"
    assert parse(dumped).tree == {"name": "1e-3"}


@pytest.mark.parametrize("name", ["off", "on", "yes", "no", "Off", "NO", "y", "n"])
def test_names_that_were_truth_values_are_text(name: str) -> None:
    assert parse(f"health: {name}").tree == {"health": name}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("Null", None),
        ("", None),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("-5", -5),
        ("+5", 5),
        (str(2**63 - 1), 2**63 - 1),
        (str(-(2**63)), -(2**63)),
        ("0000000000000000000000000000001", 1),
        ("5.", 5.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("+.INF", math.inf),
        ("1e999", math.inf),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-31", "2024-01-31"),
        ("2001-99-99", "2001-99-99"),
        ("<<", "<<"),
        ("=", "="),
        ("!!str 1", "1"),
        ("!!int 1", 1),
    ],
)
def test_plain_text_is_read_by_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    tree = parse(f"a: {text}").tree
    assert tree == {"a": value}
    assert isinstance(tree, dict)
    assert type(tree["a"]) is type(value)


def test_not_a_number_is_a_float() -> None:
    tree = parse("a: .nan").tree
    assert isinstance(tree, dict)
    assert math.isnan(tree["a"])


@pytest.mark.parametrize("text", [str(2**63), str(-(2**63) - 1), "9" * 5000, "0x" + "F" * 5000])
def test_a_whole_number_has_64_bits(text: str) -> None:
    with pytest.raises(ContentError, match="does not fit in 64 bits"):
        parse(f"a: {text}")


@pytest.mark.parametrize(
    "text",
    ["!!int b", "!!int ''", "!!float b", "!!bool yes", "!!null b", "!!merge b"],
)
def test_a_written_tag_must_fit_its_value(text: str) -> None:
    with pytest.raises(ContentError, match="no value of type"):
        parse(f"a: {text}")


@pytest.mark.parametrize("tag", ["!!timestamp", "!!binary", "!mine", "!!python/name:os.system"])
def test_other_tags_are_refused(tag: str) -> None:
    with pytest.raises(ContentError, match="is not supported"):
        parse(f"a: {tag} 2001-01-01")


def test_long_texts_of_digits_are_read_in_linear_time() -> None:
    text = "9" * 100_000
    assert parse(f"a: {text}x").tree == {"a": f"{text}x"}  # quadratic: minutes


def test_text_is_read_as_it_was_dumped() -> None:
    random_texts = random.Random(0)
    parts = ["o", "f", "n", "0", "x", "1", "_", ":", ".", "-", "e", "<<", "~", "=", "true", "yes"]
    for _ in range(2000):
        text = "".join(random_texts.choices(parts, k=random_texts.randint(0, 4)))
        dumped = yaml.dump({"a": text}, Dumper=Dumper)
        assert parse(dumped).tree == {"a": text}, dumped
        assert yaml.safe_load(dumped) == {"a": text}, dumped


@pytest.mark.parametrize("value", [1e-5, 1e16, 0.1, -2.5, 3.0, 10, -7, True, None, math.inf])
def test_values_are_read_as_they_were_dumped(value: object) -> None:
    dumped = yaml.dump({"a": value}, Dumper=Dumper)
    tree = parse(dumped).tree
    assert tree == {"a": value}
    assert isinstance(tree, dict)
    assert type(tree["a"]) is type(value)
