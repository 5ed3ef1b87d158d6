from __future__ import annotations

import pytest

from adaptune.spec.yaml_reader import MAX_CHARACTERS, parse
from adaptune.spec.yaml_types import MAX_DEPTH, MAX_NODES, ContentError


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


def test_an_empty_text_has_no_tree() -> None:
    assert parse("# nothing\n").tree is None


def test_nesting_has_a_limit() -> None:
    def nested(levels: int) -> str:
        return "{a: " * levels + "1" + "}" * levels

    assert parse(nested(MAX_DEPTH)).tree is not None
    with pytest.raises(ContentError, match="deeper than 20 levels"):
        parse(nested(MAX_DEPTH + 1))


def test_merged_keys_come_first_and_the_first_mapping_of_a_list_has_precedence() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {w: 3, <<: [*a, *b]}\n"
    tree = parse(text).tree
    assert isinstance(tree, dict)
    assert tree["c"] == {"x": 1, "y": 1, "z": 2, "w": 3}
    assert list(tree["c"]) == ["y", "z", "x", "w"]


def test_a_quoted_merge_key_is_a_key() -> None:
    assert parse('a: {"<<": 1}').tree == {"a": {"<<": 1}}


def test_values_have_a_limit() -> None:
    def items(count: int) -> str:
        return "[" + "1," * count + "]"

    assert parse(items(MAX_NODES - 1)).tree == [1] * (MAX_NODES - 1)
    with pytest.raises(ContentError, match="more than 10,000 values"):
        parse(items(MAX_NODES))


def test_the_length_has_a_limit() -> None:
    assert parse("#" * MAX_CHARACTERS).tree is None
    with pytest.raises(ContentError, match="longer than 400,000 characters"):
        parse("#" * (MAX_CHARACTERS + 1))


ALIASES = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
MERGES = "a0: &a0 {b: 1}\n"
for _level in range(1, 9):
    _names = ", ".join([f"*a{_level - 1}"] * 9)
    ALIASES += f"a{_level}: &a{_level} [{_names}]\n"
    MERGES += f"a{_level}: &a{_level} {{<<: [{_names}]}}\n"


@pytest.mark.parametrize("text", [ALIASES, MERGES], ids=["aliases", "merges"])
def test_aliases_count_as_often_as_they_are_read(text: str) -> None:
    with pytest.raises(ContentError, match="more than 10,000 values, aliases included"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\n{[b]: 1}: 1\n", 2, "a key must be plain text"),
        ("a:\n  [b]: 1\n", 2, "a key must be plain text"),
        ("a: &a {b: 1}\n*a : 1\n", 1, "a key must be plain text"),
        ("a:\n  <<: 1\n", 2, "`<<` merges mappings only"),
        ("a: &a {<<: *a}\n", 1, "deeper than 20 levels"),
        ("a: 1\nb: " + "[" * 3000, 2, "deeper than 20 levels"),
        ("a: 1\nb: " + "[" * 3000 + "]" * 3000, 2, "deeper than 20 levels"),
        ("a: 1\nb: " + "{a: " * 3000, 2, "deeper than 20 levels"),
        ("- " * 3000, 1, "deeper than 20 levels"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "the tag !!python/object/apply:"),
        ("a: 1\nb: !!set {c}\n", 2, "the tag !!set is not supported"),
        ("a: 1\nb: \x1b[2J\n", 2, r"the character U\+001B is not allowed"),
        ('a: 1\nb: "\\U00110000"\n', 2, "chr\\(\\) arg not in range"),
        ('a: 1\nb: "c\\0"\n', 2, "a text has the character NUL"),
        ('a: 1\nb: "\\ud800"\n', 2, "a text has half of a surrogate pair"),
        ('a: 1\n"\\udfff": b\n', 2, "a text has half of a surrogate pair"),
        ("a: 1\nb: " + "9" * 5000, 2, "a whole number of 5,000 digits does not fit in 64 bits"),
        ("%YAML " + "9" * 5000 + ".1\n--- 1", 1, "Exceeds the limit"),
    ],
)
def test_hostile_contents_are_refused_with_their_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(ContentError, match=problem) as caught:
        parse(text)
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line + 1 == line
