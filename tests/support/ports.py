"""Ports for the servers of one test, which no other test run on this machine uses."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

# Above the ports that Ray uses by default, and below 32768, from where Linux takes the ports of
# connections.
FIRST_PORT = 20000
LAST_PORT = 32000
BLOCK_SIZE = 4


@contextmanager
def reserved_ports() -> Iterator[range]:
    """Yield four free TCP ports that are reserved within the context.

    The reservation is the UDP port with the number of the first one, which nobody needs. The kernel
    gives it to one process at a time, and frees it when the process ends in any way.
    """
    blocks = list(range(FIRST_PORT, LAST_PORT, BLOCK_SIZE))
    random.SystemRandom().shuffle(blocks)
    for first in blocks:
        ports = range(first, first + BLOCK_SIZE)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reservation:
            if is_bound(reservation, first) and all(map(is_free, ports)):
                yield ports
                return
    raise AssertionError(f"no four ports in a row are free from {FIRST_PORT} to {LAST_PORT}")


def is_bound(reservation: socket.socket, port: int) -> bool:
    """Bind a socket to a port; return whether that was possible."""
    try:
        reservation.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def is_free(port: int) -> bool:
    """Return whether a TCP server could listen on a port of all addresses."""
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True
