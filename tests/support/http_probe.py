"""A question to a server on this machine: does it speak HTTP?"""

from __future__ import annotations

import http.client

TIMEOUT_S = 10.0


def answers_http(port: int, path: str) -> bool:
    """Return whether a server on this machine answers an HTTP request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        connection.getresponse()
    except (http.client.HTTPException, OSError):
        return False
    finally:
        connection.close()
    return True
