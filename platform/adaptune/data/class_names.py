"""Comparison of the class names of two domains."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence

from adaptune.errors import DataError

_LISTED = 20
_SIMILARITY = 0.75  # of difflib: Alarm_Clock and AlarmClocks have 0.91, cup and mug 0.33


def composed_names(class_names: Sequence[str], domain: str) -> tuple[str, ...]:
    """Return class names in Unicode's composed form (NFC), in which they are compared.

    Some file systems and archives store `é` as one character, others as `e` and an accent.

    Args:
        domain: name of the domain, for the message.

    Raises:
        DataError: two names are the same in composed form.
    """
    composed = tuple(unicodedata.normalize("NFC", name) for name in class_names)
    by_composed: dict[str, str] = {}
    for name, original in zip(composed, class_names, strict=True):
        if name in by_composed:
            raise DataError(
                f"domain {domain}: two classes are called {name!r}; their names differ only in"
                f" Unicode's form ({by_composed[name]!a} and {original!a}): merge them"
            )
        by_composed[name] = original
    return composed


def describe_differences(source: Sequence[str], target: Sequence[str]) -> str:
    """Return which classes only one domain has, and which may be meant to be the same.

    Returns:
        Indented lines.
    """
    only_source = [name for name in source if name not in set(target)]
    only_target = [name for name in target if name not in set(source)]
    lines = []
    if only_source:
        lines.append(f"only in the source: {list_names(only_source)}")
    if only_target:
        lines.append(f"only in the target: {list_names(only_target)}")
    if _are_numbers(source) != _are_numbers(target):
        lines.append("the classes of one domain are numbers: write the names in place of them")
    for name in only_target:
        similar = _most_similar(name, only_source)
        if similar is not None:
            lines.append(f"perhaps the same: {similar} (source) and {name} (target)")
    return "\n".join(f"  {line}" for line in lines)


def list_names(names: Sequence[str]) -> str:
    """Return names separated by commas; of many names, the first 20 and the number of others."""
    listed = ", ".join(names[:_LISTED])
    others = len(names) - _LISTED
    return f"{listed} and {others} more" if others > 0 else listed


def _most_similar(name: str, candidates: Sequence[str]) -> str | None:
    """Return the candidate that is spelt most like a name, or None if none is."""
    by_key = {_spelling(candidate): candidate for candidate in candidates}
    close = difflib.get_close_matches(_spelling(name), list(by_key), n=1, cutoff=_SIMILARITY)
    return by_key[close[0]] if close else None


def _spelling(name: str) -> str:
    """Return a name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name.casefold())


def _are_numbers(names: Sequence[str]) -> bool:
    return all(name.isdecimal() for name in names)
