"""An option that lets no test be skipped in silence, and what all test processes share."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

SKIPPABLE = "gpu"
IS_ONE_OF_SEVERAL = "PYTEST_XDIST_WORKER" in os.environ

if IS_ONE_OF_SEVERAL:
    # There is a process for each core. torch reads the variable when it is imported.
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="fail tests that would be skipped, for example without root, except GPU tests",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let several processes begin with the files that take long, which no other can share."""
    if IS_ONE_OF_SEVERAL:
        slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
        items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True, scope="session")
def prepared_images(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Keep prepared images out of the cache of the user, for this process and its children."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADAPTUNE_CACHE", str(tmp_path_factory.mktemp("prepared")))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one if the option is given."""
    report = yield
    is_expected = hasattr(report, "wasxfail") or item.get_closest_marker(SKIPPABLE) is not None
    if report.skipped and not is_expected and item.config.getoption("--no-skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped although --no-skips is given: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests this machine could not run."""
    count = len(terminalreporter.stats.get("skipped", []))
    if count:
        terminalreporter.write_line(f"{count} tests were skipped, so what they hold is unchecked")
