from __future__ import annotations

import pytest
import yaml

from adaptune.spec.yaml_reader import MAX_DEPTH, Dumper, parse


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


def test_every_key_and_item_has_its_line() -> None:
    document = parse("a: 1\nb:\n  c: [2,\n      3]\n")
    assert document.tree == {"a": 1, "b": {"c": [2, 3]}}
    assert document.lines == {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", 0): 3,
        ("b", "c", 1): 4,
    }


def test_a_key_that_is_given_twice_is_recorded_with_both_lines() -> None:
    document = parse("a: 1\nb: {c: 1,\n    c: 2}\na: 3\n")
    assert document.repeated == [(("a",), 1, 4), (("b", "c"), 2, 3)]
    assert document.tree == {"a": 3, "b": {"c": 2}}


def test_anchors_and_merges_are_no_repeated_keys() -> None:
    document = parse("a: &both {x: 1, y: 2}\nb: {<<: *both, x: 3}\n")
    assert document.tree == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}}
    assert document.repeated == []


def test_a_date_stays_text() -> None:
    assert parse("name: 2024-01-31").tree == {"name": "2024-01-31"}


def test_an_empty_text_has_no_tree() -> None:
    assert parse("# nothing\n").tree is None


def test_nesting_has_a_limit() -> None:
    def nested(levels: int) -> str:
        return "{a: " * levels + "1" + "}" * levels

    assert parse(nested(MAX_DEPTH)).tree is not None
    with pytest.raises(yaml.YAMLError, match="deeper than 20 levels"):
        parse(nested(MAX_DEPTH + 1))
