"""Docstrings of public definitions."""

from __future__ import annotations

import ast
import re

from support.source_code import PACKAGE, Definition, Function, Module, modules

# A first line that begins so is a fragment instead of a sentence or a definition.
FRAGMENT_OPENINGS = {
    "as",
    "by",
    "for",
    "from",
    "how",
    "if",
    "in",
    "it",
    "no",
    "nothing",
    "of",
    "on",
    "see",
    "those",
    "to",
    "when",
    "where",
    "whether",
    "which",
    "who",
    "whose",
    "why",
    "with",
    "what",
}
# "(N, C, H, W)", "(N,)", "[B, K]": sizes in capitals.
SHAPE = re.compile(r"[(\[](?:[A-Z0-9]\w*|\d+)(?:,| [+·×/] )|scalar|any shape|same shape")
TENSOR_PACKAGES = (
    PACKAGE / "losses",
    PACKAGE / "models",
    PACKAGE / "training" / "augment",
    PACKAGE / "training" / "steps",
)


def documented(module: Module) -> list[tuple[str, Definition | ast.Module]]:
    definitions: list[tuple[str, Definition | ast.Module]] = []
    if module.text.strip():
        definitions.append((module.name, module.tree))
    for name, node in module.public_definitions():
        if not is_overload_or_init(node):
            definitions.append((f"{module.name}:{node.lineno} {name}", node))
    return definitions


def is_overload_or_init(node: Definition) -> bool:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return "overload" in decorators


def test_every_public_definition_has_a_docstring() -> None:
    missing = []
    for module in modules():
        for name, node in documented(module):
            if not ast.get_docstring(node):
                missing.append(name)
    assert not missing


def test_no_docstring_begins_with_a_fragment() -> None:
    fragments = []
    for module in modules():
        for name, node in documented(module):
            first_line = (ast.get_docstring(node) or "").partition("\n")[0]
            first_word = re.split(r"[\s,:;.]", first_line.strip("`*'\""))[0].lower()
            if first_word in FRAGMENT_OPENINGS:
                fragments.append(f"{name}: {first_line}")
    assert not fragments


def test_the_first_line_of_a_docstring_ends_with_a_period() -> None:
    unfinished = []
    for module in modules():
        for name, node in documented(module):
            first_line = (ast.get_docstring(node) or "").partition("\n\n")[0]
            if first_line and first_line[-1] not in ".:?":
                unfinished.append(f"{name}: {first_line}")
    assert not unfinished


def takes_tensors(node: Definition) -> bool:
    if not isinstance(node, Function):
        return False
    annotations = [argument.annotation for argument in node.args.args + node.args.kwonlyargs]
    return any(
        annotation is not None and "Tensor" in ast.unparse(annotation) for annotation in annotations
    )


def test_functions_of_tensors_give_their_shapes() -> None:
    without_shape = []
    for folder in TENSOR_PACKAGES:
        for module in modules(folder):
            for name, node in module.public_definitions():
                if takes_tensors(node) and not SHAPE.search(ast.get_docstring(node) or ""):
                    without_shape.append(f"{module.name}:{node.lineno} {name}")
    assert not without_shape
