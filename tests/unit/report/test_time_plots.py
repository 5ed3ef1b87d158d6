from __future__ import annotations

from datetime import datetime, timedelta
from xml.etree import ElementTree

from support.fake_search import make_record, make_search

from adaptune.report.time_plots import device_seconds, timeline
from adaptune.report.trials import report_trials
from adaptune.study.study import SearchStudy, create_study

START = datetime(2026, 1, 1)


def set_times(study: SearchStudy, *times: tuple[int, int | None]) -> None:
    for trial, (start, end) in zip(
        study.optuna_study.get_trials(deepcopy=False), times, strict=True
    ):
        trial.datetime_start = START + timedelta(seconds=start)
        trial.datetime_complete = None if end is None else START + timedelta(seconds=end)


def boxes(svg: str | None) -> dict[int, tuple[float, float]]:
    """Top and left of the box of each trial."""
    assert svg is not None
    found = {}
    for group in ElementTree.fromstring(svg).iter("g"):
        box = group.find("rect")
        if box is not None:
            number = int(group.get("data-trial", ""))
            found[number] = float(box.get("y", "")), float(box.get("x", ""))
    return found


def test_trials_side_by_side_are_in_different_rows() -> None:
    study = create_study(make_search())
    for _ in range(3):
        study.ask()
    set_times(study, (0, 10), (0, 30), (10, None))
    found = boxes(timeline(report_trials(study, None)))
    assert found[0][0] == found[2][0] < found[1][0]
    assert found[0][1] == found[1][1] < found[2][1]


def test_trials_of_a_group_share_a_lane() -> None:
    study = create_study(make_search())
    for trial in study.ask_group(2):
        study.add_epoch(trial, make_record(1, 0.5), 0.5)
    study.ask()
    set_times(study, (0, 20), (0, 10), (20, 30))
    found = boxes(timeline(report_trials(study, None)))
    assert found[0][0] == found[2][0]
    assert 0 < found[1][0] - found[0][0] < 20


def test_without_a_trial_there_is_no_timeline() -> None:
    assert timeline([]) is None


def test_device_seconds_are_shares_of_a_bar() -> None:
    costs = {"complete": 30.0, "stopped": 10.0, "failed": 0.0, "overhead": 0.0}
    svg = device_seconds(costs)
    assert svg is not None
    widths = [rect.get("width") for rect in ElementTree.fromstring(svg).iter("rect")]
    assert widths == ["540", "180"]
    assert "stopped early 10 s" in svg
    assert ">complete 75%<" in svg
    assert device_seconds(dict.fromkeys(costs, 0.0)) is None
