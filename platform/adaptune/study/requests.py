"""Requests to a running search, as files in its results folder.

The driver is the only process that writes the study. Another process leaves a request in a folder,
and the driver carries it out; see `study/steering.py`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, ValidationError

from adaptune.files import make_folder, write_file
from adaptune.results.folder import ResultsFolder
from adaptune.spec.base import Section
from adaptune.spec.distributions import Value

Action = Literal["stop", "try", "add", "finish"]
_FOLDER = "requests"
_SUFFIX = ".json"


class Request(Section):
    """A request of a person to a search."""

    action: Action = Field(description="what the search is to do")
    trial: int | None = Field(default=None, description="number of the trial to stop")
    trials: int = Field(default=0, description="number of trials to add")
    values: Mapping[str, Value] = Field(
        default_factory=dict, description="values of the setting to try, by dotted path"
    )


def send_request(folder: ResultsFolder, request: Request) -> str:
    """Leave a request for the driver of a search, and return the name of the request.

    Raises:
        OSError: the results folder is not writable.
    """
    requests = folder.path / _FOLDER
    make_folder(requests)
    # The driver takes them in the order of their names.
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    write_file(
        requests / f"{name}{_SUFFIX}", request.model_dump_json(exclude_defaults=True).encode()
    )
    return name


def pending_requests(folder: ResultsFolder) -> Iterator[tuple[str, Request | None]]:
    """Yield the requests that wait for the driver, oldest first, by name; None if damaged."""
    for path in sorted((folder.path / _FOLDER).glob(f"*{_SUFFIX}")):
        try:
            request = Request.model_validate_json(path.read_bytes())
        except ValidationError:
            request = None
        yield path.stem, request


def remove_request(folder: ResultsFolder, name: str) -> None:
    """Remove a request that the study has recorded."""
    (folder.path / _FOLDER / f"{name}{_SUFFIX}").unlink(missing_ok=True)
