"""Size of files and functions."""

from __future__ import annotations

from support.source_code import ROOT, modules

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
LONG_FUNCTION_LINES = 40


def test_no_file_is_longer_than_300_lines() -> None:
    too_long = []
    for folder in ("platform", "tests", "benchmarks", "cluster"):
        for module in modules(ROOT / folder):
            lines = len(module.text.splitlines())
            if lines > MAX_FILE_LINES:
                too_long.append(f"{module.name}: {lines} lines")
    assert not too_long


def test_no_function_is_longer_than_60_lines_and_hardly_any_than_40() -> None:
    lengths = {}
    for module in modules():
        for function in module.functions():
            length = (function.end_lineno or 0) - function.lineno + 1
            lengths[f"{module.name}:{function.lineno} {function.name}"] = length
    too_long = {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES}
    assert not too_long
    long = {name: length for name, length in lengths.items() if length > LONG_FUNCTION_LINES}
    assert len(long) < len(lengths) / 100, long
