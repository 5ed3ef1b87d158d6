from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from adaptune.spec.reference import json_schema


def test_the_schema_is_printed_as_json(run: Callable[..., Any]) -> None:
    status, out, error = run("schema")
    assert (status, error) == (0, "")
    assert json.loads(out) == json_schema()
    assert "λ" in out  # as itself, for people who read the file
