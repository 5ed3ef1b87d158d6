"""A headless Chromium of the system, in which tests open a report."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """The path of Chromium; skips the test where there is none."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"needs {NAMES[0]}")


def axe_core() -> str:
    """The source of axe-core, installed by npm for all users; skips the test without it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm install --global axe-core")
    command = [npm, "root", "--global"]
    root = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    file = Path(root) / "axe-core" / "axe.min.js"
    if not file.exists():
        pytest.skip("needs npm install --global axe-core")
    return file.read_text(encoding="utf-8")


@contextmanager
def opened(
    file: Path, *, width: int = 1280, scheme: Literal["light", "dark"] = "light"
) -> Iterator[tuple[Page, list[str]]]:
    """Open a file; yields the page, and what goes wrong on it: errors, and requests of others."""
    executable = chromium()
    faults: list[str] = []

    def note_request(request: Request) -> None:
        if request.url != file.as_uri() and not request.url.startswith("data:"):
            faults.append(f"request of {request.url}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox"], env={"HOME": str(file.parent)}
        )
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", note_request)
        page.set_default_timeout(10_000)
        page.goto(file.as_uri())
        yield page, faults
        browser.close()
