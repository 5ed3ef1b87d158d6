"""The list of what has never run on a GPU is complete."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from support.documentation import ROOT, code_spans
from support.source_code import PACKAGE, Module, modules

PAGE = ROOT / "docs" / "concepts" / "never-run-on-a-gpu.md"
FOLDERS = ("torch.cuda.", "torch.backends.", "torch.autocast", "torch.compiler.set_stance")


def gpu_code(tree: ast.AST) -> Iterator[str]:
    """Yield the expressions that do something else on a GPU than on a CPU."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute():
                name = ast.unparse(node)
                if name.startswith(FOLDERS) or name.endswith(("device.type", ".pin_memory")):
                    yield name
            case ast.Call(func=ast.Attribute(value=base, attr="compile")):
                if ast.unparse(base) != "re":
                    yield ast.unparse(node.func)
            case ast.keyword(arg="non_blocking"):
                yield "non_blocking"
            case ast.Constant(value=str(text)) if "\n" not in text and "nccl" in text.lower():
                yield text


def is_gpu_module(module: Module) -> bool:
    return any(True for _ in gpu_code(module.tree))


def spans_of_the_page(start: str, end: str) -> set[str]:
    spans = code_spans(PAGE.read_text(encoding="utf-8"))
    return {span for span in spans if span.startswith(start) and span.endswith(end)}


def gpu_tests() -> set[str]:
    names = set()
    for module in modules(ROOT / "tests" / "gpu"):
        names |= {function.name for function in module.functions()}
    return {name for name in names if name.startswith("test_")}


def test_expressions_of_gpus_are_recognised() -> None:
    code = (
        "if device.type == 'cuda': torch.cuda.empty_cache()\n"
        "batch.pin_memory().to(device, non_blocking=True)\n"
        "re.compile('a'), network.compile(), 'cpu:gloo,cuda:nccl'\n"
        "# torch.cuda\n"
    )
    assert set(gpu_code(ast.parse(code))) == {
        "device.type",
        "torch.cuda.empty_cache",
        "batch.pin_memory",
        "non_blocking",
        "network.compile",
        "cpu:gloo,cuda:nccl",
    }


def test_every_module_with_code_for_gpus_is_on_the_page_and_no_other() -> None:
    with_gpu_code = set()
    for module in modules():
        if is_gpu_module(module):
            with_gpu_code.add(str(module.path.relative_to(PACKAGE)))
    listed = {name for name in spans_of_the_page("", ".py") if "/" in name and " " not in name}
    assert listed == with_gpu_code


def test_every_test_for_a_gpu_is_on_the_page_and_no_other() -> None:
    listed = spans_of_the_page("test_", "")
    assert {name for name in listed if not name.endswith(".py")} == gpu_tests()
    files = {path.name for path in (ROOT / "tests" / "unit").rglob("test_*.py")}
    assert {name for name in listed if name.endswith(".py")} <= files


def test_every_line_of_the_page_names_a_test_for_a_gpu() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    assert len(lines) > 10
    for line in lines[1:]:
        assert "`test_" in line.split("|")[-2], line
