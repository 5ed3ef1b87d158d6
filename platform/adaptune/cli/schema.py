"""The command `schema`."""

from __future__ import annotations

import json


def schema() -> None:
    """Print the JSON Schema of search space files.

    Editors use it for completion.
    """
    from adaptune.spec.reference import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
