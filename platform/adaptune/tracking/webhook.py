"""A notice to a webhook when a search ends."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Mapping
from urllib.error import HTTPError

from adaptune.errors import SpecError

TIMEOUT_S = 10.0
ATTEMPTS = 3
_PAUSE_S = 1.0


def webhook_address(variable: str) -> str:
    """Return the address in an environment variable.

    Raises:
        SpecError: the variable is not set, or holds no address of a web server.
    """
    address = os.environ.get(variable, "")
    if not address.startswith(("https://", "http://")):
        fault = "holds no http(s) address" if address else "is not set"
        raise SpecError(
            f"tracking.notify: the environment variable {variable} {fault}: export the address of"
            " the webhook in it, or leave tracking.notify out"
        )
    return address


def post(address: str, message: Mapping[str, object]) -> None:
    """Post a message as JSON; try three times.

    Raises:
        OSError: nobody took it. Its text is without the address, which is a secret.
    """
    body = json.dumps(message).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "adaptune"}
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        try:
            request = urllib.request.Request(address, data=body, headers=headers)
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):
                return
        except HTTPError as error:
            reason = f"the server answers {error.code}"
        except (OSError, ValueError) as error:
            reason = type(error).__name__
    raise OSError(reason)
