"""The calls of `os` that change the files of a folder, observed or made to fail."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

_BY_PATH = ("open", "mkdir", "rmdir", "unlink", "remove", "truncate")
_BY_FILE = ("write", "fsync", "ftruncate")
_BY_TWO_PATHS = ("replace", "rename", "link", "symlink")


@dataclass(frozen=True)
class Call:
    """A call of a function of `os`.

    Attributes:
        function: name of the function.
        path: file or folder that it changes.
        to: second path, of a rename.
        body: bytes that are written.
        size: new size, of a truncation.
        flags: flags, of an opening.
        file: descriptor, of a function that takes one.
    """

    function: str
    path: str
    to: str = ""
    body: bytes = b""
    size: int = 0
    flags: int = 0
    file: int = -1

    def __str__(self) -> str:
        names = [name for name in (self.path, self.to) if name]
        return f"{self.function} {' → '.join(names)}"


Perform = Callable[[], Any]


@dataclass
class FileCalls:
    """Sends the calls of `os` that concern a folder to a handler, from all modules.

    Attributes:
        root: the folder; calls elsewhere are left alone.
        handle: receives a call and a function that performs it; returns the result.
    """

    root: Path
    handle: Callable[[Call, Perform], Any]
    _open_files: dict[int, str] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Replace the functions of `os` until the patch is undone."""
        wrappers: dict[str, Callable[..., Any]] = {
            **dict.fromkeys(_BY_PATH, self._by_path),
            **dict.fromkeys(_BY_FILE, self._by_file),
            **dict.fromkeys(_BY_TWO_PATHS, self._by_two_paths),
            "close": self._close,
        }
        for name, wrapper in wrappers.items():
            patch.setattr(os, name, partial(wrapper, name, getattr(os, name)))

    def _by_path(self, name: str, function: Any, path: Any, *rest: Any, **options: Any) -> Any:
        full_path = self._full_path(path, options.get("dir_fd"))
        if full_path is None:
            return function(path, *rest, **options)
        number = rest[0] if rest and isinstance(rest[0], int) else 0
        call = Call(_canonical(name), full_path, size=number, flags=number)
        with self._lock:
            result = self.handle(call, partial(function, path, *rest, **options))
            if name == "open":
                self._open_files[result] = full_path
        return result

    def _by_file(self, name: str, function: Any, file: Any, *rest: Any) -> Any:
        path = self._open_files.get(file)
        if path is None:
            return function(file, *rest)
        body = bytes(rest[0]) if name == "write" else b""
        size = rest[0] if name == "ftruncate" else 0
        with self._lock:
            call = Call(name, path, body=body, size=size, file=file)
            return self.handle(call, partial(function, file, *rest))

    def _by_two_paths(self, name: str, function: Any, path: Any, to: Any, **options: Any) -> Any:
        full_path = self._full_path(path, options.get("src_dir_fd"))
        full_to = self._full_path(to, options.get("dst_dir_fd"))
        if full_to is None:
            return function(path, to, **options)
        call = Call(_canonical(name), full_path or str(path), to=full_to)
        with self._lock:
            return self.handle(call, partial(function, path, to, **options))

    def _close(self, name: str, function: Any, file: int) -> None:
        # A dying process closes its files too.
        self._open_files.pop(file, None)
        function(file)

    def _full_path(self, path: Any, folder: int | None) -> str | None:
        """Return the path relative to the root, which is "", or None if it is elsewhere."""
        if isinstance(path, int):
            return self._open_files.get(path)
        text = os.fsdecode(path)
        if folder is not None:
            parent = self._open_files.get(folder)
            return None if parent is None else os.path.normpath(f"{parent}/{text}")
        full = os.path.abspath(text)
        root = str(self.root)
        if full != root and not full.startswith(root + os.sep):
            return None
        return full[len(root) + 1 :]


def _canonical(name: str) -> str:
    return {"remove": "unlink", "rename": "replace"}.get(name, name)
