"""The states in which a power cut may leave a folder.

The calls of a process are recorded. A power cut after any of them keeps what was synced. Of the
rest, it keeps everything, nothing, or the first changes of names; and of the contents of files all,
half, nothing or zeros.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.file_calls import Call, Perform

State = dict[str, bytes | None]  # contents of a file by its path, and None for a folder


@dataclass(eq=False)
class _File:
    """A file, independent of its names."""

    body: bytes = b""
    synced: bytes = b""

    def whole(self) -> bytes:
        return self.body

    def without_unsynced(self) -> bytes:
        return self.synced

    def half(self) -> bytes:
        return self.synced + self.body[len(self.synced) :][: self._unsynced // 2]

    def zeros(self) -> bytes:
        return self.synced + bytes(self._unsynced)

    @property
    def _unsynced(self) -> int:
        return max(len(self.body) - len(self.synced), 0)


@dataclass(eq=False)
class _Folder:
    """A folder: its names now and on the disk."""


Entry = _File | _Folder
Names = dict[str, Entry]


@dataclass(frozen=True)
class _NameChange:
    """A change of names that is not on the disk; those in one folder get there in their order."""

    folders: frozenset[str]
    removed: tuple[str, ...]
    added: tuple[tuple[str, Entry], ...]

    def apply(self, names: Names) -> None:
        for path in self.removed:
            names.pop(path, None)
        for path, entry in self.added:
            if os.path.dirname(path) in names:  # otherwise its folder is lost
                names[path] = entry


@dataclass
class Disk:
    """A model of a disk that `apply` brings forward by one call.

    Attributes:
        names: all names now.
        durable: names that survive a power cut for certain.
        pending: changes of names since.
    """

    names: Names = field(default_factory=lambda: {"": _Folder()})
    durable: Names = field(default_factory=lambda: {"": _Folder()})
    pending: list[_NameChange] = field(default_factory=list)

    def apply(self, call: Call) -> None:
        """Do what a successful call did."""
        path = call.path
        match call.function:
            case "open" if call.flags & os.O_CREAT and path not in self.names:
                self._change((), ((path, _File()),))
            case "mkdir":
                self._change((), ((path, _Folder()),))
            case "unlink" | "rmdir":
                self._change((path,), ())
            case "replace":
                moved = []
                for name, entry in self.names.items():
                    if name == path or name.startswith(path + os.sep):
                        moved.append((name, call.to + name[len(path) :], entry))
                self._change(
                    tuple(name for name, _, _ in moved),
                    tuple((to, entry) for _, to, entry in moved),
                )
            case "write":
                self._file(path).body += call.body
            case "ftruncate" | "truncate":
                self._file(path).body = self._file(path).body[: call.size]
            case "fsync" if isinstance(self.names[path], _Folder):
                self._sync_names(path)
            case "fsync":
                self._file(path).synced = self._file(path).body

    def _file(self, path: str) -> _File:
        entry = self.names[path]
        assert isinstance(entry, _File)
        return entry

    def _change(self, removed: tuple[str, ...], added: tuple[tuple[str, Entry], ...]) -> None:
        paths = [*removed, *(path for path, _ in added)]
        top = min(len(Path(path).parts) for path in paths)
        folders = {os.path.dirname(path) for path in paths if len(Path(path).parts) == top}
        change = _NameChange(frozenset(folders), removed, added)
        change.apply(self.names)
        self.pending.append(change)

    def _sync_names(self, folder: str) -> None:
        waiting = []
        for change in self.pending:
            if folder in change.folders:
                change.apply(self.durable)
            else:
                waiting.append(change)
        self.pending = waiting

    def states(self) -> Iterator[tuple[str, State]]:
        """Yield the states after a power cut now, each with its description."""
        yield "all survives", _state(self.names, _File.whole)
        yield "names survive, contents do not", _state(self.names, _File.without_unsynced)
        yield "half of the contents survives", _state(self.names, _File.half)
        yield "the contents are zeros", _state(self.names, _File.zeros)
        for count in range(len(self.pending)):
            names = dict(self.durable)
            for change in self.pending[:count]:
                change.apply(names)
            yield f"{count} changes of names survive", _state(names, _File.without_unsynced)
            yield f"{count} and all contents survive", _state(names, _File.whole)


def _state(names: Names, contents: Callable[[_File], bytes]) -> State:
    state: State = {}
    for path, entry in names.items():
        parents = [str(parent) for parent in Path(path).parents if str(parent) != "."]
        if all(parent in names for parent in parents):
            state[path] = contents(entry) if isinstance(entry, _File) else None
    return state


@dataclass
class Recorder:
    """A handler of `FileCalls` that records the successful calls.

    Attributes:
        calls: calls so far.
    """

    calls: list[Call] = field(default_factory=list)

    def __call__(self, call: Call, perform: Perform) -> Any:
        """Perform a call, except for a wait for the disk, and record it."""
        result = None if call.function == "fsync" else perform()
        if call.function == "write":
            call = Call("write", call.path, body=call.body[:result])
        self.calls.append(call)
        return result


def states_after_power_cuts(calls: list[Call]) -> Iterator[tuple[str, State]]:
    """Yield the states after each of the calls, each different one once, with its description."""
    disk = Disk()
    known = set()
    for number, call in enumerate(calls, start=1):
        disk.apply(call)
        for description, state in disk.states():
            digest = _digest(state)
            if digest not in known:
                known.add(digest)
                yield f"after call {number}, {call}: {description}", state


def final_state(calls: list[Call]) -> State:
    """Return the folder after all calls."""
    disk = Disk()
    for call in calls:
        disk.apply(call)
    return _state(disk.names, _File.whole)


def read_state(root: Path) -> State:
    """Return what a folder contains."""
    state: State = {"": None}
    for path in root.rglob("*"):
        state[str(path.relative_to(root))] = path.read_bytes() if path.is_file() else None
    return state


def write_state(state: State, root: Path) -> None:
    """Create a folder with these contents."""
    for path, body in sorted(state.items()):
        if body is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(body)


def _digest(state: State) -> str:
    digest = hashlib.sha256()
    for path, body in sorted(state.items()):
        digest.update(f"{path}\0{body is None}\0".encode())
        digest.update(hashlib.sha256(body or b"").digest())
    return digest.hexdigest()
