"""Make the pictures of the documentation from the results of the default search.

    make search
    python docs/images/make.py results/cycada

Needs Chromium and the extra `test`. Writes to the folder of this script:

- report.png: the top of the report;
- curves.png: the learning curves in it;
- translations.png: the sample grid of the exported epoch, twice as large.

While a local search trains trials, this makes dashboard.png, the job and the actors in the Ray
dashboard, whose address the search has printed:

    python docs/images/make.py --dashboard http://127.0.0.1:8265
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from adaptune.evaluation.summary import read_summary

OUT = Path(__file__).parent
WIDTH = 1280
TOP = 1180  # height in px of the part that shows the verdict and the test accuracies
JOBS = 530  # height in px of the page with one job
ACTORS = 800  # and with the four actors of two runners


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?")
    parser.add_argument("--dashboard", metavar="ADDRESS")
    arguments = parser.parse_args()
    if arguments.results is None and arguments.dashboard is None:
        parser.error("name the results or --dashboard")
    if arguments.results is not None:
        save_report(arguments.results)
        save_translations(arguments.results)
    if arguments.dashboard is not None:
        save_dashboard(arguments.dashboard)


@contextmanager
def browser() -> Iterator[Browser]:
    """Run Debian's Chromium without a window."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


def save_report(results: Path) -> None:
    """Save the top of the report, and its learning curves."""
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": WIDTH, "height": TOP})
        show_report(page, results)
        page.screenshot(path=OUT / "report.png")
        page.locator("figure", has_text="A line ends where").locator("svg").screenshot(
            path=OUT / "curves.png"
        )


def show_report(page: Page, results: Path) -> None:
    """Open the report, with `results/cycada` in place of the path on this machine."""
    html = (results / "report.html").read_text(encoding="utf-8")
    page.set_content(html.replace(str(results.resolve()), "results/cycada"))


def save_translations(results: Path) -> None:
    """Save the sample grid of the exported epoch."""
    summary = read_summary(results / "summary.json")
    assert summary.best_trial is not None
    assert summary.best_epoch is not None
    groups = pq.read_table(results / "trials.parquet")["group"]  # trials that share a GAN
    checkpoints = results / "trials" / str(groups[summary.best_trial]) / "checkpoints"
    with Image.open(checkpoints / f"epoch-{summary.best_epoch:04d}.png") as grid:
        size = (2 * grid.width, 2 * grid.height)
        grid.convert("RGB").resize(size, Image.Resampling.NEAREST).save(OUT / "translations.png")


def save_dashboard(address: str) -> None:
    """Save the pages of the job and of our actors in the Ray dashboard of a local search."""
    token = (Path.home() / ".ray" / "auth_token").read_text(encoding="utf-8")
    headers = {"Authorization": f"Bearer {token}"}
    with browser() as chromium:
        page = chromium.new_page(extra_http_headers=headers)
        page.set_viewport_size({"width": WIDTH, "height": JOBS})
        page.goto(f"{address}/#/jobs")
        page.locator("tr", has_text="RUNNING").wait_for()
        jobs = page.screenshot()
        page.set_viewport_size({"width": WIDTH, "height": ACTORS})
        page.goto(f"{address}/#/actors")
        page.get_by_label("Class").fill("Trial")  # Ray has many of its own
        page.locator("tr", has_text="runner").first.wait_for()
        page.locator("tr", has_text="TrainController").first.wait_for(state="detached")
        actors = page.screenshot()
    picture = Image.new("RGB", (WIDTH, JOBS + ACTORS))
    picture.paste(Image.open(BytesIO(jobs)), (0, 0))
    picture.paste(Image.open(BytesIO(actors)), (0, JOBS))
    picture.quantize(64).save(OUT / "dashboard.png", optimize=True)


if __name__ == "__main__":
    main()
