"""Text from outside (paths, class names, values of a file) made safe to print."""

from __future__ import annotations

import re
import unicodedata

_SHORT_ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
# Control characters, halves of a surrogate pair, and the two line separators.
_ESCAPED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# Characters that begin a formula in spreadsheets.
_FORMULA_STARTS = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
# Characters that reorder what a terminal shows. Other format characters are part of scripts.
_REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_control(character: str) -> bool:
    r"""Return whether a character acts on a terminal or a text format instead of being shown.

    These are control characters such as ESC, tab and newline, line separators, characters that
    change the direction of text, and surrogates, which cannot be encoded.
    """
    if character.isprintable():
        return False
    if unicodedata.category(character) in _ESCAPED_CATEGORIES:
        return True
    return unicodedata.bidirectional(character) in _REORDERING


def escape_control(text: str, keep: str = "") -> str:
    r"""Return a text with its control characters as escape sequences: `\t`, `\n`, `\x1b`, `\u202e`.

    Args:
        keep: control characters that are not escaped.
    """
    if text.isprintable():
        return text
    characters = []
    for character in text:
        if is_control(character) and character not in keep:
            characters.append(_escape(character))
        else:
            characters.append(character)
    return "".join(characters)


def tsv_cell(text: str) -> str:
    r"""Return a text for a cell of tab-separated values.

    Control characters become escape sequences and a backslash becomes `\\`, so that the text can be
    recovered. So does the first character of what a spreadsheet would run as a formula: `\x3d`.
    """
    cell = escape_control(text.replace("\\", "\\\\"))
    if cell.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(cell):
        return _escape(cell[0]) + cell[1:]
    return cell


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}"


def duration(seconds: float) -> str:
    """Return a duration with two digits or so, in seconds, minutes, hours or days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 72 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"
