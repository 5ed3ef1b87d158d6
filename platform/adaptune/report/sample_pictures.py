"""The sample grids of all trials, small enough for one file."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adaptune.results.folder import ResultsFolder
from adaptune.results.small_picture import small_picture
from adaptune.study.study import SearchStudy
from adaptune.training.checkpoint import CheckpointFolder

log = logging.getLogger(__name__)
BUDGET = 3_500_000  # characters of all pictures together
_BEST_SHARE = 0.4  # of the budget: the most that the pictures of the best trial take


@dataclass(frozen=True)
class SamplePictures:
    """Sample grids by trial and epoch.

    Attributes:
        uris: data URI by epoch, by the first trial of a group.
        groups: trials of each group that has pictures, by its first trial.
        left_out: number of sample grids that the file has no room for, or that cannot be read.
    """

    uris: dict[int, dict[int, str]]
    groups: dict[int, list[int]]
    left_out: int


def sample_pictures(
    folder: ResultsFolder, study: SearchStudy, best: int | None, budget: int = BUDGET
) -> SamplePictures:
    """Return as many sample grids as fit into the budget.

    The best trial comes first. The others then have one grid more each in turn, the better trials
    before: the last epoch, the first, and those in between.

    Args:
        best: number of the exported trial.
        budget: characters of all data URIs together.
    """
    groups: dict[int, list[int]] = {}
    for trial in study.started_trials():
        groups.setdefault(trial.leader, []).append(trial.number)
    grids = {leader: _grids(folder.checkpoints(leader)) for leader in groups}
    best_leader = None if best is None else study.leader(best)
    ranking = [trial.leader for trial in study.ranked_trials(include_running=True)]
    order = list(dict.fromkeys([*ranking, *groups]))
    uris: dict[int, dict[int, str]] = {}
    of_best = [] if best_leader is None else [(best_leader, epoch) for epoch in grids[best_leader]]
    of_others = _in_turn(grids, [leader for leader in order if leader != best_leader])
    used = 0
    for candidates, limit in ((of_best, int(budget * _BEST_SHARE)), (of_others, budget)):
        for leader, epoch in candidates:
            uri = _uri(folder.checkpoints(leader), epoch)
            if uri is None:
                continue
            if used + len(uri) > limit:
                break  # reading and shrinking the others would take long
            used += len(uri)
            uris.setdefault(leader, {})[epoch] = uri
    left_out = sum(map(len, grids.values())) - sum(map(len, uris.values()))
    ordered = {leader: dict(sorted(uris[leader].items())) for leader in order if leader in uris}
    return SamplePictures(ordered, {leader: groups[leader] for leader in ordered}, left_out)


def spread(epochs: Sequence[int]) -> list[int]:
    """Return epochs so that each beginning of the list covers the training evenly."""
    remaining = sorted(epochs)
    chosen: list[int] = []
    for epoch in (*remaining[-1:], *remaining[:1]):
        if epoch not in chosen:
            chosen.append(epoch)
    remaining = [epoch for epoch in remaining if epoch not in chosen]
    while remaining:
        distances = [min(abs(epoch - other) for other in chosen) for epoch in remaining]
        chosen.append(remaining.pop(distances.index(max(distances))))
    return chosen


def _in_turn(grids: dict[int, list[int]], leaders: Sequence[int]) -> Iterator[tuple[int, int]]:
    for position in range(max((len(grids[leader]) for leader in leaders), default=0)):
        for leader in leaders:
            if position < len(grids[leader]):
                yield leader, grids[leader][position]


def _grids(checkpoints: CheckpointFolder) -> list[int]:
    try:
        files = checkpoints.files()
    except OSError as error:
        log.warning("sample grids in %s not listed: %s", checkpoints.path, error)
        return []
    return spread([file.epoch for file in files if file.kind == "sample grid"])


def _uri(checkpoints: CheckpointFolder, epoch: int) -> str | None:
    """Return a sample grid as WebP; None if it cannot be read."""
    png = checkpoints.sample_grid(epoch)
    if png is None:
        return None
    small = small_picture(png, "webp", f"sample grid of epoch {epoch} in {checkpoints.path}")
    if small is None:
        return None
    contents, _ = small
    return f"data:image/webp;base64,{base64.b64encode(contents).decode()}"
