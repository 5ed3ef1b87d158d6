"""Files of one folder, on a file system or in an object store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pyarrow import fs

from adaptune.files import make_folder, remove_file, rename, write_file

log = logging.getLogger(__name__)
T = TypeVar("T")
RETRY_TIMEOUT_S = 300.0  # for a remote store
_MAX_PAUSE_S = 30.0
_DRAFT_SUFFIX = ".part"
# Object stores report a missing permission as an OSError with one of these texts.
_DENIALS = ("ACCESS_DENIED", "PERMISSION_DENIED", "HTTP status 403", "AuthorizationPermission")


@dataclass(frozen=True)
class FileStore:
    """The files of a folder, which need not exist.

    All methods raise OSError if the store fails. Those that retry repeat the request to a remote
    store for up to `RETRY_TIMEOUT_S` before.

    Attributes:
        path: a local path, or a URI that `pyarrow.fs` supports.
    """

    path: str

    @property
    def is_remote(self) -> bool:
        """True if the folder is in a store that may be unreachable for a while."""
        return "://" in self.path and not self.path.startswith("file://")

    @property
    def address(self) -> str:
        """The path for messages: without the credentials and options of a URI."""
        if "://" not in self.path:
            return self.path
        parts = urlsplit(self.path)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"

    def full_name(self, name: str) -> str:
        """Return the path of a file for messages, without the options of a URI."""
        _, folder = self._open()
        return f"{folder}/{name}"

    def read(self, name: str) -> bytes:
        """Return the contents of a file, with retries.

        Raises:
            FileNotFoundError: there is no such file.
        """
        return self._retry(lambda: self.read_once(name))

    def read_once(self, name: str) -> bytes:
        """Return the contents of a file, without retries.

        Raises:
            FileNotFoundError: there is no such file.
        """
        filesystem, folder = self._open()
        with filesystem.open_input_stream(f"{folder}/{name}") as file:
            body: bytes = file.read()
        return body

    def write(self, name: str, *parts: bytes) -> None:
        """Write a file of these parts, without retries.

        A reader finds all of it or nothing. Local files are on the disk when this returns.
        """
        filesystem, folder = self._open()
        if isinstance(filesystem, fs.LocalFileSystem):
            make_folder(Path(folder))
            write_file(Path(folder, name), *parts)
            return
        filesystem.create_dir(folder)
        final = f"{folder}/{name}"
        draft = final + _DRAFT_SUFFIX
        try:
            with filesystem.open_output_stream(draft) as file:
                for part in parts:
                    file.write(part)
            filesystem.move(draft, final)
        except OSError:
            if filesystem.get_file_info(draft).type != fs.FileType.NotFound:
                filesystem.delete_file(draft)
            raise

    def remove_drafts(self, names: Iterable[str]) -> None:
        """Delete what `write` left when its process was killed; nobody else may write now.

        Args:
            names: names of all files.
        """
        for name in names:
            if name.endswith(_DRAFT_SUFFIX):
                try:
                    self.delete(name)
                except OSError as error:
                    log.warning("draft %s not removed: %s", self.full_name(name), error)

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each file by name, in the order of names, with retries."""
        return self._retry(self.sizes_once)

    def sizes_once(self) -> dict[str, int]:
        """Return the size in bytes of each file by name, in the order of names, without retries."""
        filesystem, folder = self._open()
        files = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        return {file.base_name: file.size for file in sorted(files, key=lambda file: file.path)}

    def delete(self, name: str) -> None:
        """Delete a file if it exists, without retries."""
        filesystem, folder = self._open()
        if isinstance(filesystem, fs.LocalFileSystem):
            remove_file(Path(folder, name))
            return
        with suppress(FileNotFoundError):
            filesystem.delete_file(f"{folder}/{name}")

    def rename(self, name: str, new_name: str) -> None:
        """Rename a file, with retries.

        Raises:
            FileNotFoundError: there is no such file.
        """
        filesystem, folder = self._open()
        if isinstance(filesystem, fs.LocalFileSystem):
            rename(Path(folder, name), Path(folder, new_name))
            return
        self._retry(lambda: filesystem.move(f"{folder}/{name}", f"{folder}/{new_name}"))

    def _retry(self, request: Callable[[], T]) -> T:
        """Return the answer to a request that a trial cannot do without."""
        deadline = time.monotonic()
        if self.is_remote:
            deadline += RETRY_TIMEOUT_S
        pause_s = 1.0
        while True:
            try:
                return request()
            except FileNotFoundError:
                raise
            except OSError as error:
                if is_denied(error) or time.monotonic() + pause_s > deadline:
                    raise
                log.warning(
                    "%s does not answer (%s); retrying in %.0f s", self.address, error, pause_s
                )
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    def _open(self) -> tuple[fs.FileSystem, str]:
        filesystem, folder = fs.FileSystem.from_uri(self.path)
        return filesystem, folder


def is_denied(error: OSError) -> bool:
    """Return whether a permission is missing, which waiting does not change."""
    if isinstance(error, PermissionError):
        return True
    text = str(error)
    return any(denial in text for denial in _DENIALS)
