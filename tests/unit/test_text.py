from __future__ import annotations

import pytest

from adaptune.text import duration, escape_control, is_control, tsv_cell

ESCAPED = {
    "\t": r"\t",
    "\n": r"\n",
    "\r": r"\r",
    "\0": r"\x00",
    "\x1b": r"\x1b",
    "\x7f": r"\x7f",
    "\x9b": r"\x9b",  # the control sequence introducer in one byte
    "\u2028": r"\u2028",
    "\u2029": r"\u2029",
    "\u202e": r"\u202e",  # shows the text after it from right to left
    "\u2066": r"\u2066",
    "\udc80": r"\udc80",  # a byte of a file name that is not UTF-8
}


@pytest.mark.parametrize(("character", "escaped"), ESCAPED.items(), ids=ESCAPED.values())
def test_control_characters_are_escaped(character: str, escaped: str) -> None:
    assert is_control(character)
    assert escape_control(f"a{character}b") == f"a{escaped}b"


@pytest.mark.parametrize(
    "text",
    [
        "plain text",
        "naïve Größe 犬 🐕",
        "a\u00a0b",  # a space that does not break
        "می\u200cخواهم",  # Persian joins letters by a format character
        "👩\u200d🔬",
        r"back\slash",
        "",
    ],
)
def test_all_other_text_is_unchanged(text: str) -> None:
    assert not any(map(is_control, text))
    assert escape_control(text) == text


def test_characters_can_be_kept() -> None:
    assert escape_control("a\n\x1bb", keep="\n") == "a\n\\x1bb"


def test_a_cell_can_be_told_from_every_other_cell() -> None:
    assert tsv_cell("a\tb") == r"a\tb"
    assert tsv_cell(r"a\tb") == r"a\\tb"
    assert tsv_cell("犬") == "犬"


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+A1", "-A1", "@SUM(A1)", "--1", "-1-2"])
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert tsv_cell(text) == f"\\x{ord(text[0]):02x}{text[1:]}"


@pytest.mark.parametrize("text", ["-1", "+1.5", "a=b", "1-2", "", "-0"])
def test_numbers_and_other_text_are_cells_as_they_are(text: str) -> None:
    assert tsv_cell(text) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5900, "98 min"), (7300, "2 h"), (3e5, "3 days")],
)
def test_a_duration_has_the_unit_in_which_it_is_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
