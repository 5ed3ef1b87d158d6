"""The Markdown files of the repository, and the code in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PYTHON_API = ROOT / "docs" / "python-api.md"

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FOLDERS = ("benchmarks", "cluster", "docs", "search_spaces", "tests")


@dataclass(frozen=True)
class CodeBlock:
    """A fenced code block."""

    language: str
    text: str


def documents() -> list[Path]:
    """Return all Markdown files of the repository."""
    files = sorted(ROOT.glob("*.md"))
    for folder in _FOLDERS:
        files += sorted((ROOT / folder).rglob("*.md"))
    return files


def manuals() -> list[Path]:
    """Return the files that describe adaptune as it is; decisions also describe its past."""
    files = [README, CONTRIBUTING]
    for file in sorted((ROOT / "docs").rglob("*.md")):
        if "decisions" not in file.parts:
            files.append(file)
    return files


def name_of(file: Path) -> str:
    """Return the path of a file from the root of the repository."""
    return str(file.relative_to(ROOT))


def code_blocks(text: str, language: str | None = None) -> list[CodeBlock]:
    """Return the fenced code blocks, or those of one language."""
    blocks = [CodeBlock(match["language"], match["text"]) for match in _FENCE.finditer(text)]
    return [block for block in blocks if language in (None, block.language)]


def without_code_blocks(text: str) -> str:
    return _FENCE.sub("", text)


def code_spans(text: str) -> list[str]:
    """Return the pieces of inline code, each in one line."""
    return [" ".join(span.split()) for span in _SPAN.findall(without_code_blocks(text))]


def code_lines(text: str) -> Iterator[str]:
    """Yield inline code and the lines of code blocks; lines that end in a backslash are joined."""
    yield from code_spans(text)
    for block in code_blocks(text):
        yield from block.text.replace("\\\n", " ").splitlines()


def section(text: str, heading: str) -> str:
    """Return the text from a heading of level 2 to the next one."""
    _, _, after = text.partition(f"\n## {heading}\n")
    assert after, f"there is no section {heading}"
    return after.partition("\n## ")[0]


def anchors(text: str) -> set[str]:
    """Return the anchors of all headings, as forges derive them."""
    slugs = set()
    for heading in _HEADING.findall(without_code_blocks(text)):
        words = re.sub(r"[^\w\- ]", "", heading.lower())
        slugs.add(words.replace(" ", "-"))
    return slugs
