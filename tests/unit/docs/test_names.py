"""The options, commands, keys, targets and imports that the manuals name exist."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from support.documentation import (
    ROOT,
    code_blocks,
    code_lines,
    code_spans,
    manuals,
    name_of,
)

from adaptune.cli.app import app
from adaptune.spec.reference import json_schema

COMMAND = re.compile(r"(?:\.venv/bin/)?(?:python3? )?(adaptune|run_search\.py) (.+)")
SECTIONS = "data|model|training|loss_weights|search|resources|storage|evaluation"
KEY = re.compile(rf"(?<![\w./])(?:{SECTIONS})(?:\.[a-z_0-9]+)+(?![\w/.])")
FILE_SUFFIXES = (".md", ".py", ".yaml")
# The keys below them are names of the user or dotted paths.
OF_ANY_NAME = ("label_selector", "start_points", "when")

Schema = dict[str, Any]
every_manual = pytest.mark.parametrize("file", manuals(), ids=name_of)


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@cache
def options() -> dict[str, set[str]]:
    """Return the options of each command."""
    by_command = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        by_command[name] = {"--help"}
        for parameter in command.params:
            by_command[name].update(parameter.opts, parameter.secondary_opts)
    return by_command


def unknown_words(line: str) -> list[str]:
    """Return the command or the options of a command line that adaptune does not have."""
    match = COMMAND.fullmatch(line.strip())
    if match is None:
        return []
    words = shlex.split(match[2], comments=True)
    command = "search" if match[1] == "run_search.py" else words.pop(0)
    if command.startswith("-"):
        return [] if command == "--help" else [command]
    if command not in options():
        return [command]
    named = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [option for option in named if option not in options()[command]]


@every_manual
def test_every_command_and_its_options_exist(file: Path) -> None:
    unknown = []
    for line in code_lines(read(file)):
        unknown += unknown_words(line)
    assert not unknown


@every_manual
def test_every_option_that_is_named_alone_exists(file: Path) -> None:
    all_options = set().union(*options().values())
    unknown = []
    for span in code_spans(read(file)):
        option = re.match(r"--[a-z-]+", span)
        if option and option[0] not in all_options:
            unknown.append(span)
    assert not unknown


@every_manual
def test_every_make_target_exists(file: Path) -> None:
    makefile = read(ROOT / "Makefile")
    unknown = []
    for line in code_lines(read(file)):
        target = re.match(r"make ([a-z-]+)", line)
        if target and not re.search(rf"^{target[1]}:", makefile, re.MULTILINE):
            unknown.append(line)
    assert not unknown


@cache
def schema() -> Schema:
    return json_schema()


def resolve(node: Schema) -> Iterator[Schema]:
    """Yield the schemas of mappings that a node of the schema allows."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        yield from resolve(schema()["$defs"][name])
    for keyword in ("anyOf", "oneOf"):
        for alternative in node.get(keyword, []):
            yield from resolve(alternative)
    if "properties" in node:
        yield node


@cache
def exists(key: str) -> bool:
    """Return whether search space files have a key, given as a dotted path."""
    nodes = [schema()]
    for name in key.split("."):
        children = []
        for node in nodes:
            for mapping in resolve(node):
                if name in mapping["properties"]:
                    children.append(mapping["properties"][name])
        nodes = children
    return bool(nodes)


def is_module(name: str) -> bool:
    """Return whether a dotted name such as `training.loop.fit` leads into a module."""
    package, module, *_ = name.split(".")
    return (ROOT / "platform" / "adaptune" / package / f"{module}.py").exists()


def keys_of(tree: object, prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every key of a search space file, or of a part of one."""
    if not isinstance(tree, dict):
        return
    for name, value in tree.items():
        yield f"{prefix}{name}"
        if name not in OF_ANY_NAME:
            yield from keys_of(value, f"{prefix}{name}.")


@every_manual
def test_every_key_exists(file: Path) -> None:
    keys = []
    for line in code_lines(read(file)):
        keys += [key for key in KEY.findall(line) if not key.endswith(FILE_SUFFIXES)]
    for block in code_blocks(read(file), "yaml"):
        keys += keys_of(yaml.safe_load(block.text))
    assert not [key for key in keys if not exists(key) and not is_module(key)]


@every_manual
def test_every_import_of_a_python_example_exists(file: Path) -> None:
    for block in code_blocks(read(file), "python"):
        if file.name == "CONTRIBUTING.md":
            continue  # its examples are run by test_contributing.py
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)


def test_misspelled_words_of_a_command_are_found() -> None:
    assert unknown_words("adaptune confirm results/x --top 3 --sede 5  # --new") == ["--sede"]
    assert unknown_words("python run_search.py --space a.yaml --top 3") == ["--top"]
    assert unknown_words(".venv/bin/adaptune reprot results/x") == ["reprot"]
    assert not unknown_words("adaptune export results/x --trial 7")
    assert not unknown_words("from adaptune import load_spec")


def test_misspelled_keys_are_found() -> None:
    assert exists("resources.reuse_workers")
    assert exists("search.scheduler.grace_epochs")
    assert exists("loss_weights.cycle.low")
    assert not exists("resources.reuse_worker")
    assert not exists("search.scheduler.grace")
    assert list(keys_of({"search": {"start_points": [{"a": 1}], "trials": 3}})) == [
        "search",
        "search.start_points",
        "search.trials",
    ]
