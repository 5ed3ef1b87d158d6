"""A webhook on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class Webhook:
    """A webhook; the next requests fail as long as `failures` is above 0."""

    address: str
    failures: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def open_webhook() -> Iterator[Webhook]:
    """Serve a webhook in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the base class looks for this name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if webhook.failures:
                webhook.failures -= 1
                self.send_response(503)
            else:
                webhook.messages.append(json.loads(body))
                self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        webhook = Webhook(f"http://127.0.0.1:{server.server_port}/hunter2")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield webhook
        finally:
            server.shutdown()
            thread.join()
