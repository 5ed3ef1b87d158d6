"""Observation of a running search through Prometheus and Ray's dashboard."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cluster.monitoring.start import DISCOVERY, read_targets

from support.local_search import LocalSearch

SERIES = (
    "ray_adaptune_trials",
    "ray_adaptune_best_objective",
    "ray_adaptune_device_seconds",
    "ray_adaptune_unhealthy_trials",
    "ray_adaptune_epochs_total",
)
_SAMPLE = re.compile(r"^([a-zA-Z_:]\w*)[{ ]", re.MULTILINE)
_ADDRESS = re.compile(r"http://[\d.]+:\d+")


@dataclass
class Seen:
    """All that was seen.

    Attributes:
        exposed: names of the metrics at Ray's ports.
        series: last value in Prometheus of our metrics, by name and state, or name and fate.
        metadata: metadata of the job.
        actors: names of the actors, and those that their processes give themselves.
        tasks: names of the tasks.
        train_runs: names of the Train runs.
    """

    exposed: set[str] = field(default_factory=set)
    series: dict[str, float] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    actors: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)
    train_runs: set[str] = field(default_factory=set)


class Observer:
    """Looks at a running search from outside.

    Args:
        prometheus: address of Prometheus.
    """

    def __init__(self, search: LocalSearch, prometheus: str) -> None:
        self.seen = Seen()
        self._search = search
        self._prometheus = prometheus

    def targets(self) -> list[str]:
        """Return the addresses with metrics."""
        return read_targets(list(self._search.temporary.glob(f"*/r/{DISCOVERY}")))

    def look(self) -> None:
        """Look once. A server may not answer yet, or no more."""
        for look in (self._look_at_exporter, self._look_at_prometheus, self._look_at_dashboard):
            with suppress(OSError):
                look()

    def _look_at_exporter(self) -> None:
        for target in self.targets():
            text = _read(f"http://{target}/metrics").decode()
            self.seen.exposed.update(_SAMPLE.findall(text))

    def _look_at_prometheus(self) -> None:
        for name in SERIES:
            query = urllib.parse.quote(f'{name}{{search="s"}}')
            answer = json.loads(_read(f"{self._prometheus}/api/v1/query?query={query}"))
            for series in answer["data"]["result"]:
                labels = series["metric"]
                kind = labels.get("state") or labels.get("fate") or ""
                self.seen.series[f"{name} {kind}".strip()] = float(series["value"][1])

    def _look_at_dashboard(self) -> None:
        for job in self._ask("/api/jobs/"):
            self.seen.metadata |= job["metadata"]
        for actor in self._list("actors"):
            self.seen.actors |= {actor["name"], actor["repr_name"]}
        self.seen.tasks.update(task["name"] for task in self._list("tasks"))
        runs = self._ask("/api/train/v2/runs/v1")["train_runs"]
        self.seen.train_runs.update(run["name"] for run in runs)

    def _list(self, kind: str) -> list[dict[str, Any]]:
        answer = self._ask(f"/api/v0/{kind}?detail=true&limit=10000")
        rows: list[dict[str, Any]] = answer["data"]["result"]["result"]
        return rows

    def _ask(self, path: str) -> Any:
        """Ask the dashboard, whose address is in Ray's log."""
        address = _ADDRESS.search((self._search.results / "ray.log").read_text())
        if address is None:
            raise OSError("there is no dashboard yet")
        token = (self._search.home / ".ray" / "auth_token").read_text()
        return json.loads(_read(f"{address[0]}{path}", Authorization=f"Bearer {token}"))


def _read(url: str, **headers: str) -> bytes:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        content: bytes = response.read()
    return content
