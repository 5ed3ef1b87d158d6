"""Seeds for independent random streams, all from the one seed of the spec."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2⁶³) for the stream named by `parts`; the same on every machine and version of Python."""
    tagged = (
        f"s{len(part)}:{part}" if isinstance(part, str) else f"i{int(part)}" for part in parts
    )
    digest = hashlib.sha256("\x1f".join(tagged).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
