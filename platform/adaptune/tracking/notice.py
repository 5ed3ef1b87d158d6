"""The message that a search posts when it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from adaptune.errors import InterruptedSearchError, SpecError
from adaptune.evaluation.summary import Summary
from adaptune.spec.schema import SearchSpec
from adaptune.tracking.tracker import summary_figures
from adaptune.tracking.webhook import post, webhook_address


@dataclass
class Notice:
    """The outcome of a session.

    Attributes:
        summary: summary of the search, once it has ended.
    """

    summary: Summary | None = None


@contextmanager
def notified(spec: SearchSpec) -> Iterator[Notice]:
    """Post the outcome of a session at its end, if the spec names a webhook.

    A notice that nobody takes is reported on standard error and changes nothing else.
    """
    notice = Notice()
    try:
        yield notice
    except BaseException as error:
        is_stopped = isinstance(error, InterruptedSearchError)
        _send(spec, "stopped" if is_stopped else "failed", f"{type(error).__name__}: {error}")
        raise
    if notice.summary is not None:
        figures = summary_figures(notice.summary)
        _send(spec, "finished", notice.summary.verdict, figures)


def _send(
    spec: SearchSpec, status: str, text: str, figures: dict[str, float] | None = None
) -> None:
    variable = spec.tracking.notify
    if variable is None:
        return
    message = {
        "text": f"{spec.name} {status}: {text}",  # what chat rooms show
        "search": spec.name,
        "status": status,
        "figures": figures or {},
    }
    try:
        post(webhook_address(variable), message)
    except (OSError, SpecError) as error:
        print(f"adaptune: the webhook in {variable} was not notified: {error}", file=sys.stderr)
