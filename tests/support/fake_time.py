"""Functions of the module `time` for one module only."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def fake_time(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, **functions: Callable[..., Any]
) -> None:
    """Replace functions of `time` in one module.

    A change of `time` itself would reach the threads that other tests and libraries leave behind.
    """
    real = vars(vars(module)["time"])
    monkeypatch.setattr(module, "time", SimpleNamespace(**real | functions))
