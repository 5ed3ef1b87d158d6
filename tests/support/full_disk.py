"""A file system whose disk is full."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from pyarrow import fs


class FullDisk:
    """The local file system, but writing fails: at once, or after some bytes if `torn`."""

    def __init__(self, torn: bool) -> None:
        self.local = fs.LocalFileSystem()
        self.torn = torn

    def __getattr__(self, name: str) -> Any:
        return getattr(self.local, name)

    def open_output_stream(self, path: str) -> Any:
        if self.torn:
            Path(path).write_bytes(b"torn")
        raise OSError(errno.ENOSPC, "No space left on device")
