"""Files and overrides that attack the reader: each is refused in one line per fault, and soon."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaptune.errors import SpecError
from adaptune.spec import load_spec
from adaptune.spec.load import find

HEAD = "name: small\ndata: {source: {domain: a}, target: {domain: b}}\n"
Fail = Callable[..., list[str]]

LIMIT_S = 3.0  # of processor time; each takes less than one second on an idle machine
NINE = "9" * 5000


def alias_bomb(levels: int) -> str:
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 9)
        text += f"a{level}: &a{level} [{aliases}]\n"
    return text


@pytest.fixture(autouse=True)
def _bounded_time() -> Iterator[None]:
    start_s = time.process_time()
    yield
    assert time.process_time() - start_s < LIMIT_S


HOSTILE = {
    "aliases": (alias_bomb(8), "more than 10,000 values, aliases included"),
    "values": ("a: [" + "1," * 100_000 + "]", "more than 10,000 values, aliases included"),
    "length": ("a: " + "1" * 500_000, "longer than 400,000 characters"),
    "digits": (f"seed: {NINE}", "a whole number of 5,000 digits does not fit in 64 bits"),
    "hexadecimal": (f"seed: 0x{NINE}", "a whole number of 5,000 digits does not fit in 64 bits"),
    "brackets": ("a: " + "[" * 3000, "deeper than 20 levels"),
    "braces": ("a: " + "{a: " * 3000, "deeper than 20 levels"),
    "dashes": ("a:\n  " + "- " * 3000, "deeper than 20 levels"),
    "a list as key": ("? [a]\n: 1", "a key must be plain text"),
    "a mapping as key": ("{a: 1}: 1", "a key must be plain text"),
    "escape": ("a: \x1b[2J", "the character U+001B is not allowed"),
    "surrogate": (r'name: "\ud800"', "a text has half of a surrogate pair"),
    "tag": ("a: !!python/object:os.system ls", "the tag !!python/object:os.system is not supp"),
}


@pytest.mark.parametrize(("text", "problem"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_with_file_and_line(fail: Fail, text: str, problem: str) -> None:
    (line,) = fail(text)
    assert re.match(r"space\.yaml(:([5-9]|1\d))?: ", line)
    assert problem in line


@pytest.mark.parametrize(("text", "problem"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_value_of_an_override_is_refused(fail: Fail, text: str, problem: str) -> None:
    (line,) = fail("", f"search.trials={text}")
    assert line.startswith("--set search.trials: ")
    assert problem in line


def test_an_override_has_a_limited_depth(fail: Fail) -> None:
    (line,) = fail("", "a." * 5000 + "b=1")
    assert line == f"--set {'a.' * 28}a...: deeper than 20 levels"


def test_a_message_about_an_override_is_short(fail: Fail) -> None:
    (line,) = fail("", "seed=[" + "x" * 5000)
    assert line == f"--set seed: [{'x' * 56}... is not YAML"
    (line,) = fail("", "x" * 5000)
    assert line == f"--set {'x' * 57}...: must have the form key.path=value"


@pytest.mark.parametrize("date", ["2001-99-99", "2001-01-31", "0000-00-00"])
def test_a_date_is_a_text_where_a_number_is_due(fail: Fail, date: str) -> None:
    assert fail(f"seed: {date}\n") == [f"space.yaml:5: seed = {date}: must be a whole number"]


@pytest.mark.parametrize(
    "number", ["1" + "0" * 18, "1e999", "-1e999", ".inf", ".nan", "0." + "0" * 1000 + "1"]
)
@pytest.mark.parametrize(
    "template",
    [
        "loss_weights: {{cycle: {}}}",
        "loss_weights: {{cycle: {{search: uniform, low: 0, high: {}}}}}",
        "loss_weights: {{cycle: {{search: loguniform, low: {}, high: 3}}}}",
        "loss_weights: {{cycle: {{search: choice, values: [1, {}]}}}}",
        "model: {{generator: {{width: {{search: int, low: 1, high: {}}}}}}}",
        "model: {{generator: {{width: {{search: int, low: 1, high: 5, step: {}}}}}}}",
        "search: {{start_points: [{{training.beta1: {}}}]}}\n"
        "training: {{beta1: {{search: uniform, low: 0, high: 0.9}}}}",
    ],
)
def test_numbers_of_any_size_are_accepted_or_refused_with_a_message(
    tmp_path: Path, template: str, number: str
) -> None:
    (tmp_path / "space.yaml").write_text(HEAD + template.format(number))
    for line in faults(tmp_path / "space.yaml"):
        assert line.startswith("space.yaml:")


def faults(file: Path) -> list[str]:
    """Return the lines of the SpecError that loading a file raises; none if it loads."""
    try:
        load_spec(file)
    except SpecError as error:
        return str(error).splitlines()
    return []


def mutate(text: str, randomness: random.Random) -> str:
    """Return the text with some characters replaced, inserted, or removed."""
    pieces = [*"\n\t :-[]{}&*!|>'\"%@`#,?=~<.0eE\\\x1b\u2028é", "<<: ", "&a ", "*a", "!!int ", "- "]
    for _ in range(randomness.randint(1, 8)):
        start = randomness.randrange(len(text))
        end = start + randomness.choice([0, 0, 1, 5, 40])
        text = text[:start] + randomness.choice([*pieces, ""]) + text[end:]
    return text


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["cycada.yaml", "mnist_usps.yaml"])
def test_a_mutated_file_loads_or_raises_a_spec_error(tmp_path: Path, name: str, seed: int) -> None:
    randomness = random.Random(f"{name} {seed}")
    text = find(name).read_text(encoding="utf-8")
    file = tmp_path / "space.yaml"
    messages = []
    for _ in range(12):
        file.write_text(mutate(text, randomness), encoding="utf-8")
        messages += faults(file)
    assert messages
    assert {message.partition(":")[0] for message in messages} == {"space.yaml"}
