from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adaptune.errors import SpecError
from adaptune.spec import SearchSpec, load_spec

HEAD = """\
name: small
data:
  source: {domain: first, size: 32, channels: 1}
  target: {domain: second, size: 32, channels: 1}
"""  # four lines: what a test appends starts in line 5

Read = Callable[..., SearchSpec]
Fail = Callable[..., list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Loads a text as the file `space.yaml`."""

    def _read(text: str, *overrides: str, head: str = HEAD) -> SearchSpec:
        file = tmp_path / "space.yaml"
        file.write_text(head + text, encoding="utf-8")
        return load_spec(file, overrides)

    return _read


@pytest.fixture
def fail(read: Read) -> Fail:
    """Returns the lines of the SpecError that loading a text must raise."""

    def _fail(text: str, *overrides: str, head: str = HEAD) -> list[str]:
        with pytest.raises(SpecError) as caught:
            read(text, *overrides, head=head)
        return str(caught.value).split("\n")

    return _fail
