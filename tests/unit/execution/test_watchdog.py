from __future__ import annotations

from dataclasses import dataclass, field

from adaptune.execution.watchdog import MAX_STEP_S, START_S, Silence, Watchdog

BOUND_S = 60.0


@dataclass
class Driver:
    """A driver that listens once per second."""

    slowest_epoch_s: float = 0.0
    now: float = 1000.0
    silences: list[Silence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(BOUND_S, self.slowest_epoch_s, lambda: self.now)

    def listen(self, seconds: float) -> list[Silence]:
        """Return the trials that became overdue within this time."""
        silences: list[Silence] = []
        for _ in range(int(seconds)):
            self.now += 1
            silences += self.watchdog.overdue()
        return silences


def test_a_trial_is_overdue_once_its_last_report_is_too_long_ago() -> None:
    driver = Driver()
    driver.watchdog.start(3, is_starting=True)
    driver.watchdog.report(3, epoch_s=2.0)
    assert driver.listen(BOUND_S) == []
    assert driver.listen(1) == [Silence(3, BOUND_S + 1, BOUND_S)]


def test_each_report_begins_the_time_again() -> None:
    driver = Driver()
    driver.watchdog.start(3, is_starting=True)
    for _ in range(5):
        driver.watchdog.report(3, epoch_s=2.0)
        assert driver.listen(BOUND_S) == []


def test_the_first_epoch_of_a_process_has_time_for_its_start() -> None:
    driver = Driver()
    for _ in range(2):  # the second time in another process
        driver.watchdog.start(3, is_starting=True)
        assert driver.listen(BOUND_S + START_S) == []
        driver.watchdog.stop(3)
    driver.watchdog.start(3, is_starting=True)
    assert driver.listen(BOUND_S + START_S + 1) == [
        Silence(3, BOUND_S + START_S + 1, BOUND_S + START_S)
    ]


def test_ten_times_the_slowest_epoch_of_any_trial_is_allowed() -> None:
    driver = Driver()
    for number in (3, 4):
        driver.watchdog.start(number, is_starting=True)
    driver.watchdog.report(4, epoch_s=20.0)
    driver.watchdog.report(3, epoch_s=1.0)
    driver.watchdog.stop(4)
    assert driver.listen(200) == []
    assert [silence.number for silence in driver.listen(1)] == [3]


def test_epochs_of_earlier_sessions_count() -> None:
    driver = Driver(slowest_epoch_s=30.0)
    driver.watchdog.start(3, is_starting=True)
    driver.watchdog.report(3, epoch_s=1.0)
    assert driver.listen(300) == []
    assert driver.listen(1) == [Silence(3, 301.0, 300.0)]


def test_time_in_which_the_driver_did_not_listen_does_not_count() -> None:
    driver = Driver()
    driver.watchdog.start(3, is_starting=True)
    driver.watchdog.report(3, epoch_s=2.0)
    driver.now += 5000.0  # stopped, or waiting for a database
    assert driver.listen(BOUND_S - MAX_STEP_S) == []
    assert len(driver.listen(MAX_STEP_S)) == 1


def test_a_trial_that_stays_silent_is_overdue_again_after_another_bound() -> None:
    driver = Driver()
    driver.watchdog.start(3, is_starting=True)
    driver.watchdog.report(3, epoch_s=2.0)
    assert len(driver.listen(2 * BOUND_S + 2)) == 2


def test_a_trial_that_has_ended_is_not_watched() -> None:
    driver = Driver()
    driver.watchdog.start(3, is_starting=True)
    driver.watchdog.report(3, epoch_s=2.0)
    driver.watchdog.stop(3)
    driver.watchdog.stop(3)
    assert driver.listen(10 * BOUND_S) == []
