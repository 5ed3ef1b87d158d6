from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.documentation import anchors, documents, name_of, without_code_blocks

LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
REFERENCE = re.compile(r"^\[[^\]]+\]: +(\S+)", re.MULTILINE)


def links(file: Path) -> list[str]:
    """Return the links of a file that lead to other files or headings of the repository."""
    text = without_code_blocks(file.read_text(encoding="utf-8"))
    targets = LINK.findall(text) + REFERENCE.findall(text)
    return [target for target in targets if "://" not in target and "mailto:" not in target]


def is_broken(target: str, file: Path) -> bool:
    """Return whether a link of a file leads nowhere."""
    path, _, anchor = target.partition("#")
    linked = (file.parent / path).resolve() if path else file
    if not linked.exists():
        return True
    return bool(anchor) and anchor not in anchors(linked.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", documents(), ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading(file: Path) -> None:
    assert not [target for target in links(file) if is_broken(target, file)]


def test_a_link_to_a_missing_file_or_heading_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# A page\n\n## Its part\n", encoding="utf-8")
    assert is_broken("other.md", file)
    assert is_broken("#no-part", file)
    assert not is_broken("page.md#its-part", file)
    assert not is_broken("#a-page", file)


def test_links_to_files_and_headings_are_recognised(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(
        "![A picture](image.png) and [a page](../other.md#part), [the web](https://example.org)\n"
        "```\n[no](link.md)\n```\n[a name]: named.md\n",
        encoding="utf-8",
    )
    assert links(file) == ["image.png", "../other.md#part", "named.md"]


def test_the_anchor_of_a_heading_has_no_punctuation() -> None:
    text = "# `adaptune`: the *end*\n\n## S3, and more\n```\n# a comment\n```\n"
    assert anchors(text) == {"adaptune-the-end", "s3-and-more"}
