"""Structure of the package and of its tests."""

from __future__ import annotations

import re
import subprocess

from support.source_code import PACKAGE, ROOT, modules
from support.spec_trace import returns, trace

# Words of our own, for which Ray, Optuna, PyTorch and the literature have better ones.
FORBIDDEN = re.compile(
    r"\blanes?\b|\bdesk\b|\brivals?\b|\byardsticks?\b|\bput[_ ]back\b|\bsick\b|\bhindsight\b"
    r"|\bunclaim\b",
    re.IGNORECASE,
)
TELLS_OF_OLD_NAMES = ("CHANGELOG.md", "docs/decisions/")
REFUSAL_OF_AN_OLD_KEY = "is now evaluation.baselines"
TEXT_FILES = {
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".txt",
    ".sh",
    ".sbatch",
    ".jinja",
    ".json",
    "",
}
RAY_INTERNALS = re.compile(r"\bray\.(_\w+|core)\b|\bray\.\S*\._internal\b")


def test_platform_is_no_package() -> None:
    # It would hide the standard library's `platform`.
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_nine_of_ten_modules_have_a_test_file_of_their_name() -> None:
    without_test = []
    names = []
    for module in modules():
        if module.path.name == "__init__.py":
            continue
        relative = module.path.relative_to(PACKAGE)
        names.append(relative)
        test = ROOT / "tests" / "unit" / relative.parent / f"test_{relative.name}"
        if not test.exists():
            without_test.append(str(relative))
    assert len(without_test) <= len(names) / 10, without_test


def test_search_is_smaller_than_1900_lines() -> None:
    lines = sum(len(module.text.splitlines()) for module in modules(PACKAGE / "search"))
    assert lines < 1900


def test_any_stays_at_the_edges() -> None:
    lines = []
    for module in modules():
        for number, line in enumerate(module.text.splitlines(), start=1):
            if re.search(r"\bAny\b", line.partition("#")[0]):
                lines.append(f"{module.name}:{number}")
    assert len(lines) < 45, lines


def test_only_its_own_module_reads_an_epoch_record_by_keys() -> None:
    reads = []
    for module in modules():
        if module.path.name == "record.py":
            continue
        for number, line in enumerate(module.text.splitlines(), start=1):
            if re.search(r"\brecord(\[\"|\.get\()", line):
                reads.append(f"{module.name}:{number}")
    # The JSON of a message and of a checkpoint, which hold a record under that key.
    assert not reads


def test_private_names_of_ray_are_in_one_module() -> None:
    users = [module.name for module in modules() if RAY_INTERNALS.search(module.text)]
    assert users == ["platform/adaptune/execution/orphan_cleanup.py"]


def test_words_of_our_own_are_gone() -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    lines = []
    for name in tracked:
        path = ROOT / name
        if name.startswith(TELLS_OF_OLD_NAMES) or path.suffix not in TEXT_FILES:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if FORBIDDEN.search(line) and REFUSAL_OF_AN_OLD_KEY not in line:
                lines.append(f"{name}:{number}: {line.strip()}")
    assert not lines


def test_the_spec_of_a_search_hardly_returns_to_a_file_that_it_left() -> None:
    steps = trace(PACKAGE / "workflows" / "search.py", "run")
    assert returns(steps) <= 16, steps
