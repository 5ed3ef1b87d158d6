"""Seeds of independent random streams, all derived from the one seed of the spec."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: int | str) -> int:
    """Return the seed of the random stream that `parts` name, in [0, 2⁶³).

    It is the same on every machine and in every version of Python. An integer and a string of the
    same digits name different streams.
    """
    tagged = []
    for part in parts:
        if isinstance(part, str):
            tagged.append(f"s{len(part)}:{part}")
        else:
            tagged.append(f"i{int(part)}")
    digest = hashlib.sha256("\x1f".join(tagged).encode()).digest()
    # Torch's generators take signed 64-bit seeds.
    return int.from_bytes(digest[:8], "big") >> 1
