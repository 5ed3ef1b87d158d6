"""The time for which no trial of a search could train."""

from __future__ import annotations

from collections.abc import Callable

from adaptune.errors import WorkersNotStartedError

NO_ROOM = "no node has room for a trial"
IN_USE = "the nodes have room for a trial, but other jobs use it"
NOTICE_S = 60.0


class Shortage:
    """Notes shortages of room on the cluster, and ends a search that waits in vain.

    Args:
        timeout_s: seconds to wait for room.
        clock: monotonic clock in seconds.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float]) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._reason = ""
        self._since: float | None = None

    def note(self, reason: str) -> None:
        """Note that a trial finds no workers, which lasts until a trial reports an epoch."""
        self._reason = reason
        if self._since is None:
            self._since = self._clock()

    def end(self) -> None:
        """Note that trials train."""
        self._since = None

    @property
    def notice(self) -> str | None:
        """A line for the user, once the shortage has lasted for a minute."""
        if self._since is None or self._clock() - self._since < NOTICE_S:
            return None
        return f"no trial could train for {NOTICE_S:.0f} s: {self._reason}"

    def check(self) -> None:
        """Check whether the wait is too long.

        Raises:
            WorkersNotStartedError: no trial could train for the timeout.
        """
        if self._since is not None and self._clock() - self._since > self._timeout_s:
            raise WorkersNotStartedError(
                f"no trial could train for {self._timeout_s:g} s: {self._reason}\nFinished trials"
                " are kept, and the same command with --resume continues;"
                " resources.wait_for_nodes_s sets how long to wait"
            )
