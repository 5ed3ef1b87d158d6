"""An S3 endpoint on loopback that can be made to fail."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from pyarrow import fs
from werkzeug.serving import WSGIRequestHandler, make_server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
_numbers = itertools.count()


class _SilentHandler(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None: ...


class ObjectStore:
    """Moto's S3 with one bucket.

    While `fails` is set, every request is refused; `refused` counts these requests.
    """

    def __init__(self) -> None:
        self.fails = False
        self.refused = 0
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_SilentHandler
        )
        options = (
            f"endpoint_override=127.0.0.1:{self.server.server_port}&scheme=http&region=us-east-1"
        )
        self.bucket = f"bucket-{next(_numbers)}"  # all stores of a process share their data
        self.uri = f"s3://{self.bucket}/results?{options}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.fails:
            self.refused += 1
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        return self._moto(environ, start_response)  # type: ignore[no-any-return]

    def files(self) -> set[str]:
        """Return the names of all files below the URI."""
        store, folder = fs.FileSystem.from_uri(self.uri)
        names = set()
        for entry in store.get_file_info(fs.FileSelector(folder, recursive=True)):
            if entry.type == fs.FileType.File:
                names.add(entry.path.removeprefix(f"{folder}/"))
        return names


@contextmanager
def running_store() -> Iterator[ObjectStore]:
    """Run a store; this process and those that it starts have its credentials."""
    store = ObjectStore()
    thread = threading.Thread(target=store.server.serve_forever, daemon=True)
    thread.start()
    environment = patch.dict(os.environ, CREDENTIALS)
    environment.start()
    try:
        creator, _ = fs.FileSystem.from_uri(store.uri + "&allow_bucket_creation=true")
        creator.create_dir(store.bucket)
        yield store
    finally:
        environment.stop()
        store.server.shutdown()
        store.server.server_close()
        thread.join()
