"""The examples of CONTRIBUTING.md work: their code is taken from the file and run."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest
from pydantic import ValidationError
from support.documentation import CONTRIBUTING, CodeBlock, code_blocks, section

from adaptune.data import registry
from adaptune.data.registry import DOMAINS, DomainEntry
from adaptune.spec import loss_terms
from adaptune.spec.model import GeneratorSpec
from adaptune.training.build import build_generator
from adaptune.training.steps import classifier


@dataclass(frozen=True)
class Example:
    """The code of an example: a new file, an entry of a table and a test; and a change."""

    module: str
    entry: str
    test: str
    change: str | None = None


def example(heading: str) -> Example:
    blocks = code_blocks(section(CONTRIBUTING.read_text(encoding="utf-8"), heading))
    module, entry, *changes, test = blocks
    assert [block.language for block in (module, entry, test)] == ["python"] * 3
    return Example(module.text, entry.text, test.text, change_of(changes))


def change_of(blocks: list[CodeBlock]) -> str | None:
    if not blocks:
        return None
    (block,) = blocks
    assert block.language == "diff"
    return block.text


def run(code: str, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run code as a module that can be imported under this name until the end of the test."""
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, name, "exec"), vars(module))
    return module


def run_its_tests(code: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the tests of a module without fixtures, and return their number."""
    module = run(code, "test_of_an_example", monkeypatch)
    functions = [item for name, item in vars(module).items() if name.startswith("test_")]
    for function in functions:
        function()
    return len(functions)


def test_the_domain_passes_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = example("Example: a domain")
    loader = run(domain.module, "adaptune.data.negative_digits", monkeypatch)
    entries = eval("{" + domain.entry + "}", {"DomainEntry": DomainEntry, **vars(loader)})
    ((name, entry),) = entries.items()
    assert name not in DOMAINS
    monkeypatch.setitem(DOMAINS, name, entry)
    assert registry.describe()[name] == entry.description
    assert run_its_tests(domain.test, monkeypatch) == 3


def test_the_loss_passes_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    term = example("Example: a loss term")
    run(term.module, "adaptune.losses.minimum_entropy", monkeypatch)
    assert run_its_tests(term.test, monkeypatch) == 3


def test_the_field_of_the_loss_term_is_all_that_the_table_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    term = example("Example: a loss term")
    source = inspect.getsource(loss_terms)
    last_field = inspect.getsource(loss_terms.LossWeights)
    assert source.count(last_field) == 1
    extended = source.replace(last_field, f"{last_field}{term.entry}")
    table = run(extended, "extended_loss_terms", monkeypatch)

    assert set(table.LOSS_TERMS) - set(loss_terms.LOSS_TERMS) == {"entropy"}
    row = table.LOSS_TERMS["entropy"]
    assert (row.trains, row.methods, row.default_weight) == ("classifier", ("cycada",), 0)
    assert "entropy" in table.terms_of("classifier")
    assert table.ABLATIONS["no entropy"] == ("entropy",)
    assert table.LossWeights(entropy=0.5).entropy == 0.5
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        table.LossWeights(entropy=-1)


def test_the_training_step_has_the_lines_that_the_loss_term_replaces() -> None:
    change = example("Example: a loss term").change
    assert change is not None
    lines = inspect.getsource(classifier).splitlines()
    removed = [line[1:] for line in change.splitlines() if line.startswith("-")]
    assert removed
    assert all(line in lines for line in removed)


def test_the_network_passes_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    network = example("Example: a network")
    run(network.module, "adaptune.models.colour_generator", monkeypatch)
    assert run_its_tests(network.test, monkeypatch) == 2


def test_the_spec_and_the_builder_have_the_lines_that_the_network_extends() -> None:
    network = example("Example: a network")
    extended = network.entry.strip().replace(', "colour"', "")
    assert extended in inspect.getsource(GeneratorSpec)
    assert network.change is not None
    kept = [line[1:] for line in network.change.splitlines() if line.startswith(" ")]
    assert kept
    assert all(line in inspect.getsource(build_generator).splitlines() for line in kept)
