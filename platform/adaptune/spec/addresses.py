"""Secrets in addresses of databases and object stores."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(://[^:/@?\s]*:)[^@\s]*(@)")
_SECRET_OPTION = re.compile(
    r"([?&;](?:\w*(?:pass(?:word|wd|phrase)?|pwd|secret|token|access_?key|api_?key)\w*)=)[^&;\s]*",
    re.IGNORECASE,
)
_MASK = "***"


def has_secret(address: str) -> bool:
    """Return whether an address holds a password, a token or a secret key."""
    return bool(_PASSWORD.search(address) or _SECRET_OPTION.search(address))


def mask_secrets(text: str) -> str:
    """Return a text whose addresses have `***` in place of their secrets."""
    text = _PASSWORD.sub(rf"\g<1>{_MASK}\g<2>", text)
    return _SECRET_OPTION.sub(rf"\g<1>{_MASK}", text)
