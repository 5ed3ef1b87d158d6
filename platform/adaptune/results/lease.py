"""The lease that keeps a second driver out of an object store or a database.

A folder on one machine has a lock, which ends with its process. A bucket and a database have none.
Their driver stores its name there with a counter, and increases it every 20 s. A driver whose
counter stands still for 60 s is dead. Clocks of different machines are never compared.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from uuid import uuid4

import psutil

from adaptune.errors import LeaseLostError, ResultsError

log = logging.getLogger(__name__)
Notify = Callable[[str], None]


@dataclass(frozen=True)
class LeaseTimes:
    """The intervals of a lease in seconds.

    Attributes:
        renew_s: between two renewals.
        timeout_s: without a renewal until a driver counts as dead.
        settle_s: from taking a lease to reading it back: two drivers may have taken it at once.
    """

    renew_s: float = 20.0
    timeout_s: float = 60.0
    settle_s: float = 1.0


@dataclass(frozen=True)
class Holder:
    """A driver as its lease names it.

    Attributes:
        id: random name of this run of the driver.
        host: name of its machine, for messages.
        machine: identity of the booted system and its namespace of process numbers.
        process: number of its process.
        counter: number of renewals.
    """

    id: str
    host: str
    machine: str
    process: int
    counter: int = 0

    @property
    def is_gone(self) -> bool:
        """True if its process was on this machine and has ended."""
        return self.machine == _machine() and not psutil.pid_exists(self.process)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"

    def to_dict(self) -> dict[str, object]:
        """Return the lease as JSON can store it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Holder | None:
        """Return a stored lease, or None if it was released or is unreadable."""
        with suppress(TypeError):
            return cls(**values)  # type: ignore[arg-type]  # from outside
        return None


class LeasePlace(Protocol):
    """A place that can keep a lease."""

    @property
    def name(self) -> str:
        """The place in messages."""

    def read(self) -> Holder | None:
        """Return the present holder, if any."""

    def write(self, holder: Holder | None) -> None:
        """Store the holder, or that there is none."""


@dataclass
class _HeldLease:
    place: LeasePlace
    holder: Holder
    confirmed: float  # monotonic time at which it was ours
    lock: threading.Lock = field(default_factory=threading.Lock)  # a place may hang


@dataclass
class DriverLease:
    """The leases of this driver, on none or more places; released at the end of the context.

    Args:
        notify: prints a message for the user.
        times: intervals.
    """

    notify: Notify = print
    times: LeaseTimes = LeaseTimes()
    _held: list[_HeldLease] = field(default_factory=list)
    _lost: str | None = None
    _released: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def acquire(self, place: LeasePlace) -> None:
        """Take the lease of a place, and renew it from now on.

        If another driver holds it and does not renew it, wait until it counts as dead.

        Raises:
            ResultsError: another driver holds it.
            OSError: the place does not answer.
        """
        holder = place.read()
        if holder is not None and not holder.is_gone:
            self._wait_until_dead(place, holder)
        lease = _HeldLease(place, _this_driver(), time.monotonic())
        place.write(lease.holder)
        time.sleep(self.times.settle_s)
        holder = place.read()
        if holder != lease.holder:
            raise _in_use(place, holder)
        self._held.append(lease)
        if self._thread is None:
            self._thread = threading.Thread(target=self._renew_regularly, daemon=True)
            self._thread.start()

    def holds(self, place: LeasePlace) -> bool:
        """Return whether this driver has taken the lease of a place."""
        return any(lease.place == place for lease in self._held)

    def check(self) -> None:
        """Check that all leases are still ours; a place that does not answer counts as ours.

        Raises:
            LeaseLostError: another driver has taken one.
        """
        for lease in self._held:
            self._renew(lease)
        self.raise_if_lost()

    def check_for_writing(self, kind: type[LeasePlace]) -> None:
        """Check before a write to places of a kind; cheap while their leases are renewed in time.

        Raises:
            LeaseLostError: another driver has taken a lease of any kind.
        """
        oldest = time.monotonic() - 2 * self.times.renew_s
        for lease in self._held:
            if isinstance(lease.place, kind) and lease.confirmed < oldest:
                self._renew(lease)
        self.raise_if_lost()

    def raise_if_lost(self) -> None:
        """Raise if a check or a renewal has found that a lease is lost.

        Raises:
            LeaseLostError: another driver has taken one.
        """
        if self._lost is not None:
            raise LeaseLostError(self._lost)

    def release(self) -> None:
        """Give up all leases, so that another driver need not wait.

        A place that does not answer for a while keeps its lease until it counts as dead.
        """
        self._released.set()
        if not self._held:
            return
        thread = threading.Thread(target=self._give_up_all, daemon=True)
        thread.start()
        thread.join(timeout=self.times.timeout_s)
        if thread.is_alive():
            log.warning("a lease was not released within %g s", self.times.timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _wait_until_dead(self, place: LeasePlace, holder: Holder) -> None:
        """Return once the holder has released the lease or counts as dead.

        Raises:
            ResultsError: it renews the lease.
        """
        self.notify(
            f"{place.name} was last used by {holder}: waiting up to {self.times.timeout_s:g} s to"
            " see whether it is still running"
        )
        deadline = time.monotonic() + self.times.timeout_s
        while time.monotonic() < deadline:
            time.sleep(self.times.timeout_s / 60)
            current = place.read()
            if current is None:
                return
            if current != holder:
                raise _in_use(place, current)

    def _renew_regularly(self) -> None:
        while not self._released.wait(self.times.renew_s):
            for lease in list(self._held):
                self._renew(lease)

    def _renew(self, lease: _HeldLease) -> None:
        with lease.lock:
            self._renew_alone(lease)

    def _renew_alone(self, lease: _HeldLease) -> None:
        if self._lost is not None:
            return
        try:
            current = lease.place.read()
            if current is None or current.id != lease.holder.id:
                self._lost = _lost(lease.place, current)
                return
            lease.holder = replace(lease.holder, counter=lease.holder.counter + 1)
            lease.place.write(lease.holder)
            lease.confirmed = time.monotonic()
        except Exception as error:  # each database has its own errors
            log.warning("the lease of %s was not renewed: %s", lease.place.name, error)

    def _give_up_all(self) -> None:
        if self._thread is not None:
            self._thread.join()
        for lease in self._held:
            with lease.lock:  # a check in another thread would write it again
                self._give_up(lease)
        self._held.clear()

    def _give_up(self, lease: _HeldLease) -> None:
        try:
            current = lease.place.read()
            if current is not None and current.id == lease.holder.id:
                lease.place.write(None)
        except Exception as error:  # each database has its own errors
            log.warning("the lease of %s was not released: %s", lease.place.name, error)


def _this_driver() -> Holder:
    return Holder(uuid4().hex, socket.gethostname(), _machine(), os.getpid())


def _machine() -> str:
    """Return what tells apart two systems, or two containers, in which a process number counts."""
    boot = ""
    namespace = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()} {boot} {namespace}"


def _in_use(place: LeasePlace, holder: Holder | None) -> ResultsError:
    return ResultsError(
        f"{place.name} is in use by {holder or 'another driver'}: wait for it, stop it, or give"
        " this search another --name"
    )


def _lost(place: LeasePlace, holder: Holder | None) -> str:
    return (
        f"{holder or 'another driver'} took over {place.name}, because this driver was out of"
        " reach for too long. This driver has stopped and writes nothing more there: the other one"
        " continues the search"
    )
