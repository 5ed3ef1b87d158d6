"""adaptune: a search for the loss weights of CycleGAN and CyCADA.

>>> result = run_search(load_spec("cycada.yaml", ["search.trials=8"]))
>>> model = load_export(result.export)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptune.version import __version__

__all__ = ["__version__", "load_export", "load_spec", "run_search"]

if TYPE_CHECKING:
    from adaptune.artifacts import load_export
    from adaptune.spec import load_spec
    from adaptune.workflows.search import run as run_search


def __getattr__(name: str) -> object:
    """Import a public function on first use: Ray and torch take seconds."""
    if name == "load_spec":
        from adaptune.spec import load_spec

        return load_spec
    if name == "load_export":
        from adaptune.artifacts import load_export

        return load_export
    if name == "run_search":
        from adaptune.workflows.search import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
