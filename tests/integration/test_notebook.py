"""The notebook of the documentation runs from its first cell to its last one."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from support.documentation import ROOT

pytestmark = pytest.mark.ray
NOTEBOOK = ROOT / "docs" / "first-search.ipynb"
TIMEOUT_S = 300  # of a cell


def test_every_cell_of_the_notebook_runs_and_shows_what_its_text_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without an address, the search starts Ray itself, as on a user's machine.
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=TIMEOUT_S, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    kinds = {kind for cell in notebook.cells for kind in shown(cell)}
    assert {"text/html", "image/png"} <= kinds  # tables, learning curves, translated images
    assert (tmp_path / "results" / "notebook" / "summary.json").exists()


def shown(cell: nbformat.NotebookNode) -> list[str]:
    """Return the MIME types of what a cell shows."""
    return [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
