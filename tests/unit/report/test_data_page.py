"""Page, tables and findings of an inspection."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.inspected import write_faulty_space, write_sound_space

from adaptune.report.data_page import data_page
from adaptune.spec import load_spec
from adaptune.workflows.data_report import DataReport, inspect_data


class OpenTags(HTMLParser):
    """Fails on a tag that is closed without having been opened, or left open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> DataReport:
    space = write_faulty_space(tmp_path_factory.mktemp("faulty"))
    return inspect_data(load_spec(space))


@pytest.fixture(scope="module")
def page(faulty: DataReport) -> str:
    return data_page(faulty.spec, faulty.pair)


def test_the_verdict_is_the_first_finding(faulty: DataReport, page: str) -> None:
    assert f'<p class="verdict fault">{faulty.findings[0].message}</p>' in page
    for finding in faulty.findings[1:]:
        assert f'<li class="{finding.level}">{finding.message}</li>' in page


def test_each_leak_is_shown_with_both_images_and_both_names(faulty: DataReport, page: str) -> None:
    leaks = page[page.index("Leaks into the held-out test") : page.index("As the networks see")]
    assert leaks.count("<img") == 2
    for copy in faulty.pair.leaks:
        assert faulty.pair.image_name(copy.first) in leaks
        assert faulty.pair.image_name(copy.second) in leaks
    assert "same file" in leaks


def test_each_class_has_a_row_with_both_domains(page: str) -> None:
    grid = page[page.index('<table class="grid">') : page.index("Images by class and part")]
    assert grid.count("<tr>") == 4
    for name in ("bar", "circle", "square"):
        assert grid.count(f'alt="images of {name}"') == 2


def test_unreadable_images_are_listed(faulty: DataReport, page: str) -> None:
    (message,) = faulty.pair.source.unreadable
    assert f"<li>{message}</li>" in page


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(page: str) -> None:
    tags = OpenTags()
    tags.feed(page)
    assert tags.open == []
    without_anchors = re.sub(r'xlink:href="#[^"]*"', "", page)
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', without_anchors) == []


def test_the_same_data_gives_the_same_page(faulty: DataReport, page: str) -> None:
    assert data_page(faulty.spec, faulty.pair) == page


def test_a_page_without_a_fault_has_no_leaks(tmp_path: Path) -> None:
    report = inspect_data(load_spec(write_sound_space(tmp_path)))
    page = data_page(report.spec, report.pair)
    assert '<p class="verdict ok">Nothing stands in the way of a search.' in page
    assert "Leaks into the held-out test" not in page
    assert "Other copies" not in page


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    space = write_sound_space(tmp_path)
    for role in ("source", "target"):
        (tmp_path / role / "bar").rename(tmp_path / role / "<b>bar")
    report = inspect_data(load_spec(space))
    page = data_page(report.spec, report.pair)
    assert "<b>bar" not in page
    assert "&lt;b&gt;bar" in page
