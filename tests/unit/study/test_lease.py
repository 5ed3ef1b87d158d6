from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_search import make_search

from adaptune.errors import ResultsError
from adaptune.results.lease import DriverLease, Holder, LeaseTimes
from adaptune.study.lease import StudyLease
from adaptune.study.storage import open_study

HOLDER = Holder("a", "node-7", "machine", 4711, 3)
TIMES = LeaseTimes(renew_s=0.02, timeout_s=2.0, settle_s=0.0)


@pytest.fixture
def place(tmp_path: Path) -> StudyLease:
    url = f"sqlite:///{tmp_path}/studies.db"
    open_study(make_search(storage={"study": url}), Path("unused"))
    return StudyLease(url, "fake")


def test_a_lease_is_an_attribute_of_the_study(place: StudyLease) -> None:
    assert place.name == "the study fake in storage.study"
    assert place.read() is None
    place.write(HOLDER)
    assert StudyLease(place.url, "fake").read() == HOLDER
    place.write(None)
    assert place.read() is None


def test_a_second_driver_is_kept_out_of_a_study(place: StudyLease) -> None:
    with DriverLease(lambda _: None, TIMES) as first, DriverLease(lambda _: None, TIMES) as second:
        first.acquire(place)
        with pytest.raises(ResultsError, match=r"the study fake in storage\.study is in use by"):
            second.acquire(StudyLease(place.url, "fake"))
    with DriverLease(lambda _: None, TIMES) as third:
        third.acquire(place)
