from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace

import pytest
from support.fake_time import fake_time

from adaptune.errors import LeaseLostError, ResultsError
from adaptune.results import lease as module
from adaptune.results.lease import DriverLease, Holder, LeaseTimes

TIMES = LeaseTimes(renew_s=0.02, timeout_s=0.3, settle_s=0.0)
NEVER_RENEWED = replace(TIMES, renew_s=60.0)
ELSEWHERE = Holder("other", "node-7", "another machine", 4711)


@dataclass
class Place:
    """A place in memory.

    Attributes:
        holder: present holder.
        error: raised by each access.
    """

    name: str = "s3://bucket/fake"
    holder: Holder | None = None
    error: Exception | None = None

    def read(self) -> Holder | None:
        if self.error is not None:
            raise self.error
        return self.holder

    def write(self, holder: Holder | None) -> None:
        if self.error is not None:
            raise self.error
        self.holder = holder


def holder_of(place: Place) -> Holder:
    assert place.holder is not None
    return place.holder


def make_lease(times: LeaseTimes = TIMES) -> tuple[DriverLease, list[str]]:
    messages: list[str] = []
    return DriverLease(messages.append, times), messages


def wait_for_counter(place: Place, counter: int) -> None:
    deadline = time.monotonic() + 20
    while holder_of(place).counter < counter:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lease_is_renewed_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    lease, messages = make_lease()
    with lease:
        assert not lease.holds(place)
        lease.acquire(place)
        assert lease.holds(place)
        assert holder_of(place).process == os.getpid()
        wait_for_counter(place, 3)
        lease.check()
    assert place.holder is None
    assert messages == []


def test_a_second_driver_is_refused_with_the_name_of_the_first() -> None:
    place = Place()
    first, _ = make_lease()
    second, messages = make_lease()
    with first, second:
        first.acquire(place)
        expected = f"s3://bucket/fake is in use by process {os.getpid()} on .*: wait for it, stop"
        with pytest.raises(ResultsError, match=expected):
            second.acquire(place)
        [message] = messages
        assert message.endswith(": waiting up to 0.3 s to see whether it is still running")
        first.check()


def test_a_driver_that_renews_no_more_is_replaced_after_the_timeout() -> None:
    place = Place(holder=ELSEWHERE)
    lease, messages = make_lease()
    start = time.monotonic()
    with lease:
        lease.acquire(place)
        assert time.monotonic() - start >= TIMES.timeout_s
        assert holder_of(place).id != "other"
    assert messages[0].startswith("s3://bucket/fake was last used by process 4711 on node-7: ")


def test_a_driver_of_this_machine_whose_process_is_gone_is_replaced_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    process = int(subprocess.check_output(command))
    place = Place(holder=Holder("other", "here", module._machine(), process, 9))
    lease, messages = make_lease(replace(TIMES, timeout_s=600.0))
    with lease:
        lease.acquire(place)
        assert holder_of(place).process == os.getpid()
    assert messages == []


def test_a_driver_need_not_wait_for_the_timeout_if_the_other_one_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place(holder=ELSEWHERE)
    pauses: list[float] = []

    def end_other_driver(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 1:
            place.holder = None

    fake_time(monkeypatch, module, sleep=end_other_driver)
    lease, _ = make_lease(replace(NEVER_RENEWED, timeout_s=60.0))
    lease.acquire(place)
    assert pauses == [1.0, 0.0]
    assert lease.holds(place)
    lease.release()


def test_of_two_drivers_that_start_at_once_the_earlier_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()
    fake_time(monkeypatch, module, sleep=lambda _: place.write(ELSEWHERE))
    lease, _ = make_lease()
    with lease, pytest.raises(ResultsError, match="in use by process 4711 on node-7"):
        lease.acquire(place)
    assert place.holder == ELSEWHERE


@pytest.mark.parametrize("holder", [ELSEWHERE, None])
def test_a_lost_lease_is_found_before_a_write_and_not_touched(holder: Holder | None) -> None:
    place = Place()
    lease, _ = make_lease(NEVER_RENEWED)
    with lease:
        lease.acquire(place)
        place.holder = holder
        lease.check_for_writing(Place)  # confirmed a moment ago
        with pytest.raises(LeaseLostError, match=r"took over s3://bucket/fake.* writes nothing"):
            lease.check()
        with pytest.raises(LeaseLostError):
            lease.raise_if_lost()
    assert place.holder == holder


def test_a_driver_that_was_stopped_checks_before_its_next_write() -> None:
    place = Place()
    lease, _ = make_lease(NEVER_RENEWED)
    with lease:
        lease.acquire(place)
        place.holder = ELSEWHERE
        lease._held[0].confirmed -= 1000
        with pytest.raises(LeaseLostError):
            lease.check_for_writing(Place)


class HangingPlace:
    """A place that may hang."""

    name = "s3://bucket/hung"

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._place = Place()

    def read(self) -> Holder | None:
        assert self.may_answer.wait(20)
        return self._place.read()

    def write(self, holder: Holder | None) -> None:
        self._place.write(holder)


def test_a_place_that_hangs_holds_up_neither_a_write_to_another_one_nor_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database, bucket = Place(), HangingPlace()
    lease, _ = make_lease()
    start = time.monotonic()
    with lease:
        lease.acquire(bucket)
        lease.acquire(database)
        bucket.may_answer.clear()
        time.sleep(3 * TIMES.renew_s)  # now the thread waits for the bucket
        before = holder_of(database).counter
        lease._held[1].confirmed -= 1000
        lease.check_for_writing(Place)
        assert holder_of(database).counter == before + 1
    assert time.monotonic() - start < 15
    assert "a lease was not released within 0.3 s" in caplog.messages
    bucket.may_answer.set()


def test_a_place_that_does_not_answer_for_a_while_is_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Place()
    lease, _ = make_lease()
    with lease:
        lease.acquire(place)
        place.error = OSError("no route to host")
        lease.check()
        place.error = None
        wait_for_counter(place, holder_of(place).counter + 2)
        lease.check()
    assert "the lease of s3://bucket/fake was not renewed: no route to host" in caplog.messages
    assert place.holder is None


def test_a_place_that_does_not_answer_at_the_end_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Place()
    lease, _ = make_lease(NEVER_RENEWED)
    with lease:
        lease.acquire(place)
        place.error = OSError("no route to host")
    assert caplog.messages == ["the lease of s3://bucket/fake was not released: no route to host"]


def test_a_lease_that_was_stored_otherwise_counts_as_none() -> None:
    assert Holder.from_dict(ELSEWHERE.to_dict()) == ELSEWHERE
    for stored in (None, "text", {"id": "only"}, [1]):
        assert Holder.from_dict(stored) is None
