"""A trace of where a search's spec goes, by the source code.

Beginning at a function, every call that passes the whole spec is followed into the called function,
depth first and in the order of the source, once per call. The trace is the list of files that are
entered.
"""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

from support.source_code import PACKAGE, Function, Module, modules

SPEC = {
    "spec",
    "self._spec",
    "run.spec",
    "self.spec",
    "context.spec",
    "seed_spec",
    "run",
    "search_run",
}


def trace(path: Path, function: str) -> list[str]:
    """Return the files that the spec enters, beginning with the function's own."""
    definitions = _definitions()
    module = Module(path)
    steps = [module.name]
    _follow(module, _find(module, function), definitions, steps, ())
    return steps


def returns(steps: list[str]) -> int:
    """Return how often the trace enters a file that it had left."""
    count, entered = 0, {steps[0]}
    for previous, current in pairwise(steps):
        if current == previous:
            continue
        if current in entered:
            count += 1
        entered.add(current)
    return count


def _definitions() -> dict[str, list[tuple[Module, Function]]]:
    """Functions and constructors by name."""
    found: dict[str, list[tuple[Module, Function]]] = {}
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, Function):
                found.setdefault(node.name, []).append((module, node))
            elif isinstance(node, ast.ClassDef):
                for member in node.body:
                    if isinstance(member, Function) and member.name == "__init__":
                        found.setdefault(node.name, []).append((module, member))
    return found


def _find(module: Module, name: str) -> Function:
    return next(function for function in module.functions() if function.name == name)


def _follow(
    module: Module,
    function: Function,
    definitions: dict[str, list[tuple[Module, Function]]],
    steps: list[str],
    stack: tuple[Function, ...],
) -> None:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not any(ast.unparse(argument) in SPEC for argument in arguments):
            continue
        name = ast.unparse(call.func).split(".")[-1]
        for target_module, target in definitions.get(name, []):
            if target in stack or not target_module.path.is_relative_to(PACKAGE):
                continue
            if steps[-1] != target_module.name:
                steps.append(target_module.name)
            _follow(target_module, target, definitions, steps, (*stack, target))
            break
