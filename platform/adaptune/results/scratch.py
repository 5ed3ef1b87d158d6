"""Removal of Ray's own files from a results folder."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress

from pyarrow import fs

from adaptune.results.folder import ResultsFolder

log = logging.getLogger(__name__)


def remove_scratch(folder: ResultsFolder) -> None:
    """Delete the files that Ray left in `ResultsFolder.scratch`; an error is logged.

    Ray must not run any more. Nothing reads these files: a resumed search starts with new ones.
    """
    try:
        if folder.remote is None:
            with suppress(FileNotFoundError):
                shutil.rmtree(folder.scratch())
            return
        store, path = fs.FileSystem.from_uri(folder.scratch())
        if store.get_file_info(path).type == fs.FileType.Directory:
            store.delete_dir(path)
    except OSError as error:
        log.warning("Ray's files in %s not removed: %s", folder.scratch(), error)
