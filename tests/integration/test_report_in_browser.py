"""The report in a headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page
from support.chromium import axe_core, chromium, opened
from support.report_results import searched_report

pytestmark = pytest.mark.browser
LIMIT_S = 2
LIMIT_BYTES = 6_000_000
LIMIT_WITHOUT_PICTURES = 2_000_000
MARKED = "document.querySelectorAll('.is-picked').length"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a finished search with everything in it."""
    chromium()
    return searched_report(tmp_path_factory.mktemp("report") / "small")


@pytest.fixture
def page(report: Path) -> Iterator[Page]:
    """The open report; nothing goes wrong on it during the test."""
    with opened(report) as (page, faults):
        yield page
        assert faults == []


def picked_trials(page: Page, plot: str) -> list[str]:
    """The trials that are marked in a plot or table, by a CSS selector of it."""
    marks = page.locator(f"{plot} .is-picked")
    return [mark.get_attribute("data-trial") or "" for mark in marks.all()]


def plots(page: Page) -> list[str]:
    """Selectors of all plots with trials: curves, progress, responses, coordinates, timeline."""
    labels = page.eval_on_selector_all(
        "svg.plot:has(.mark)", "plots => plots.map(plot => plot.getAttribute('aria-label'))"
    )
    return [f'svg[aria-label="{label}"]' for label in labels]


def test_a_trial_picked_in_one_plot_is_marked_everywhere(page: Page) -> None:
    selectors = plots(page)
    assert len(selectors) == 8
    page.locator(f'{selectors[1]} .mark[data-trial="3"] circle').click()
    for selector in [*selectors, "#trials"]:
        assert picked_trials(page, selector) == ["3"], selector
    assert page.locator("#picture-trial").input_value() == "3"
    assert page.locator("#picked-label").inner_text().startswith("trial 3, stopped early")
    page.keyboard.press("Escape")
    assert page.evaluate(MARKED) == 0


def test_a_trial_picked_in_the_table_or_by_its_picture_is_marked_in_the_plots(page: Page) -> None:
    page.get_by_label("select trial 5", exact=True).click()
    assert {tuple(picked_trials(page, plot)) for plot in plots(page)} == {("5",)}
    page.get_by_role("button", name="Clear").click()
    page.select_option("#picture-trial", "4")
    page.locator("#picture").click()
    assert {tuple(picked_trials(page, plot)) for plot in plots(page)} == {("4",)}


def test_the_keyboard_reaches_every_plot_and_every_trial(page: Page) -> None:
    reached = []
    for _ in range(200):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "document.activeElement.closest('svg.plot')?.getAttribute('aria-label') ?? ''"
        )
        if place:
            reached.append(f'svg[aria-label="{place}"]')
        if len(reached) == len(plots(page)):
            break
    assert reached == plots(page)  # a plot is one stop, not one for each trial
    page.locator(f"{plots(page)[1]} .mark[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert picked_trials(page, plots(page)[0]) == ["2"]
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.keyboard.press(" ")
    assert page.evaluate(MARKED) == 0


def test_the_table_is_sorted_and_filtered(page: Page) -> None:
    header = page.locator("#trials th", has_text="target_val")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    cells = "cells => cells.map(cell => Number(cell.dataset.value))"
    values = page.eval_on_selector_all("#trials tbody td:nth-child(5)", cells)
    assert values == sorted(values, reverse=True)
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert page.eval_on_selector_all("#trials tbody td:nth-child(5)", cells) == sorted(values)
    assert page.locator("#trials th[aria-sort]").count() == 1
    page.fill("#filter", "start point")
    assert page.locator("#trials tbody tr:visible").count() == 2
    assert page.locator("#shown").inner_text() == "2 of 16 shown"
    page.fill("#filter", "")
    page.select_option("#fate", "best")
    assert page.locator("#trials tbody tr:visible").count() == 1


def test_images_whose_class_changed_are_pictures_with_their_classes(page: Page) -> None:
    images = page.locator(".changed img")
    assert images.count() == 24
    decoded = "images => Promise.all(images.map(image => image.decode()))"
    page.eval_on_selector_all(".changed img", decoded)
    first, *_ = page.locator(".changed li").all()
    assert first.inner_text().split() == ["0", "0", "→", "1"]


def test_the_slider_shows_the_pictures_of_each_epoch(page: Page) -> None:
    last = page.locator("#picture").get_attribute("src")
    page.locator("#picture-epoch").focus()
    page.keyboard.press("Home")
    assert page.locator("#picture-label").inner_text().endswith("epoch 1")
    first = page.locator("#picture").get_attribute("src")
    assert first != last
    assert page.eval_on_selector("#picture", "picture => picture.decode().then(() => true)")
    page.keyboard.press("ArrowRight")
    assert page.locator("#picture-label").inner_text().endswith("epoch 2")
    assert page.locator("#picture").get_attribute("src") not in (first, last)


def test_a_mark_says_what_it_is_when_the_pointer_is_on_it(page: Page) -> None:
    assert page.locator("#tip").is_hidden()
    page.locator(f'{plots(page)[2]} .mark[data-trial="3"] circle').hover()
    text = page.locator("#tip").inner_text()
    assert text.startswith("trial 3, stopped early")
    assert "in epoch 2" in text
    page.mouse.move(1, 1)
    assert page.locator("#tip").is_hidden()


def test_the_settings_of_a_trial_are_copied_as_yaml(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("select trial 1", exact=True).click()
    page.get_by_role("button", name="Copy as YAML").click()
    page.wait_for_function("document.getElementById('copied').textContent !== ''")
    expected = (
        "loss_weights:\n  cycle: 10.0\n  identity: 0.5\n  semantic: 0.3\n"
        "model:\n  generator:\n    name: resnet\n"
    )
    assert page.evaluate("navigator.clipboard.readText()") == expected


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_goes_wrong_at_any_width(
    report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    with opened(report, width=width, scheme=scheme) as (page, faults):
        for picked in (False, True):
            if picked:
                page.get_by_label("select trial 1", exact=True).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(report: Path, scheme: Literal["light", "dark"]) -> None:
    source = axe_core()
    with opened(report, scheme=scheme) as (page, _):
        page.get_by_label("select trial 1", exact=True).click()
        page.evaluate(source)
        violations = page.evaluate("axe.run().then(result => result.violations)")
    serious = []
    for violation in violations:
        if violation["impact"] in ("serious", "critical"):
            places = [node["html"][:120] for node in violation["nodes"][:3]]
            serious.append(f"{violation['id']}: {places}")
    assert serious == []


def test_the_report_of_a_search_that_has_not_finished_works(tmp_path: Path) -> None:
    file = searched_report(tmp_path / "small", trials=4, pictures=False, finished=False)
    with opened(file) as (page, faults):
        assert "The search has not finished: 4 of 4 trials" in page.inner_text("#findings")
        page.get_by_label("select trial 2", exact=True).click()
        assert {tuple(picked_trials(page, plot)) for plot in plots(page)} == {("2",)}
        assert faults == []


@pytest.mark.slow
def test_a_report_of_200_trials_is_small_and_opens_at_once(tmp_path: Path) -> None:
    file = searched_report(tmp_path / "small", trials=200, epochs=20, sampler="random")
    text = file.read_text(encoding="utf-8")
    pictures = text[text.index('id="picture-data"') :]
    assert len(text.encode()) <= LIMIT_BYTES
    assert len(text) - len(pictures) < LIMIT_WITHOUT_PICTURES
    with opened(file) as (page, faults):
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})  # other processes run
        page.reload(wait_until="load")
        assert page.locator("#trials tbody tr").count() == 200
        metrics = session.send("Performance.getMetrics")["metrics"]
        seconds = {metric["name"]: metric["value"] for metric in metrics}
        assert 0 < seconds["TaskDuration"] <= LIMIT_S
        assert faults == []
