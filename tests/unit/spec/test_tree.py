from __future__ import annotations

import pytest

from adaptune.spec.tree import put, value_at


def test_a_value_is_found_by_its_dotted_path() -> None:
    tree = {"a": {"b": {"c": 3}}, "d": None}
    assert value_at(tree, "a.b.c") == 3
    assert value_at(tree, "d") is None


@pytest.mark.parametrize("path", ["x", "a.x", "a.b.c", "a.b.c.d"])
def test_a_path_that_leads_nowhere_raises_key_error(path: str) -> None:
    with pytest.raises(KeyError):
        value_at({"a": {"b": 1}}, path)


def test_a_value_is_put_in_and_missing_sections_are_created() -> None:
    tree: dict[str, object] = {"a": {"b": 1}}
    put(tree, "a.b", 2)
    put(tree, "a.c.d", 3)
    assert tree == {"a": {"b": 2, "c": {"d": 3}}}


def test_a_path_through_a_single_value_raises_key_error() -> None:
    tree: dict[str, object] = {"a": 1}
    with pytest.raises(KeyError, match=r"a\.b"):
        put(tree, "a.b", 2)
    assert tree == {"a": 1}
