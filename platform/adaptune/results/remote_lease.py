"""The lease of a search in an object store."""

from __future__ import annotations

import json
from dataclasses import dataclass

from adaptune.results.lease import Holder
from adaptune.training.file_store import FileStore

_NAME = "driver.json"


@dataclass(frozen=True)
class RemoteLease:
    """The object `driver.json` next to the copy of a search.

    Attributes:
        remote: URI of the search in the store.
    """

    remote: str

    @property
    def name(self) -> str:
        """The URI."""
        return self.remote

    def read(self) -> Holder | None:
        """Return the present holder, if any.

        Raises:
            OSError: the store does not answer.
        """
        try:
            return Holder.from_dict(json.loads(FileStore(self.remote).read_once(_NAME)))
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            return None

    def write(self, holder: Holder | None) -> None:
        """Store the holder, or delete the object if there is none.

        Raises:
            OSError: the store does not answer.
        """
        store = FileStore(self.remote)
        if holder is None:
            store.delete(_NAME)
        else:
            store.write(_NAME, json.dumps(holder.to_dict()).encode())
