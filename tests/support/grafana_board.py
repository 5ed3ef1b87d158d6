"""The queries of the Grafana board, and the names of metrics in them."""

from __future__ import annotations

import json
import re

from cluster.monitoring.start import HERE

BOARD = HERE / "grafana" / "dashboards" / "adaptune.json"
_STRING = re.compile(r'"[^"]*"')
_NAME = re.compile(r"\bray_\w+")


def queries() -> list[str]:
    """Return the queries of all panels and variables, with any value for a variable."""
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    expressions = []
    for panel in board["panels"]:
        for target in panel["targets"]:
            expressions.append(target["expr"])
    for variable in board["templating"]["list"]:
        expressions.append(variable["query"].removeprefix("label_values(").partition(",")[0])
    return [expression.replace("$search", ".*") for expression in expressions]


def metric_names(query: str) -> set[str]:
    """Return the names of Ray's metrics that a query reads."""
    return set(_NAME.findall(_STRING.sub("", query)))
