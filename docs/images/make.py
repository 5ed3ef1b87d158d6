"""Make the pictures of the documentation from the results of the default search.

    make search
    python docs/images/make.py results/cycada

Needs Chromium and the extra `test`. Writes to the folder of this script:

- report.png: the top of the report;
- curves.png: the learning curves in it;
- translations.png: the sample grid of the exported epoch, twice as large.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from adaptune.evaluation.summary import Summary

OUT = Path(__file__).parent
WIDTH = 1280
TOP = 1180  # height in px of the part that shows the verdict and the test accuracies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    results: Path = parser.parse_args().results
    summary = Summary.model_validate_json((results / "summary.json").read_text(encoding="utf-8"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": TOP})
        show_report(page, results)
        page.screenshot(path=OUT / "report.png")
        page.locator("figure", has_text="A line ends where").locator("svg").screenshot(
            path=OUT / "curves.png"
        )
        browser.close()
    save_translations(results, summary)


def show_report(page: Page, results: Path) -> None:
    """Open the report, with `results/cycada` in place of the path on this machine."""
    html = (results / "report.html").read_text(encoding="utf-8")
    page.set_content(html.replace(str(results.resolve()), "results/cycada"))


def save_translations(results: Path, summary: Summary) -> None:
    """Save the sample grid of the exported epoch."""
    assert summary.best_trial is not None
    assert summary.best_epoch is not None
    groups = pq.read_table(results / "trials.parquet")["group"]  # trials that share a GAN
    checkpoints = results / "trials" / str(groups[summary.best_trial]) / "checkpoints"
    with Image.open(checkpoints / f"epoch-{summary.best_epoch:04d}.png") as grid:
        size = (2 * grid.width, 2 * grid.height)
        grid.convert("RGB").resize(size, Image.Resampling.NEAREST).save(OUT / "translations.png")


if __name__ == "__main__":
    main()
