"""report.html of a simulated search."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import optuna
import pytest
from support.fake_search import make_search, simulate, smooth

from adaptune.cluster.placement import PlacementPlan
from adaptune.errors import ResultsError
from adaptune.evaluation.summary import summarise, write_summary
from adaptune.evaluation.test_scores import TestScores as Scores
from adaptune.report.page import write_report
from adaptune.results.folder import ResultsFolder
from adaptune.spec.schema import SearchSpec
from adaptune.study import study as studies

PLAN = PlacementPlan("ray_train", 2, 1, 0.0, 1, 2)
SCORES = Scores(
    size=100,
    adapted=0.95,
    source_only=0.8,
    information_only=0.9,
    supervised=0.98,
    p={"source_only": 0.001, "information_only": 0.1},
)


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return simulate(make_search(), str(tmp_path / "study.journal"), smooth)


def page_of(tmp_path: Path, study: optuna.Study, spec: SearchSpec, scores: Scores | None) -> str:
    folder = ResultsFolder(tmp_path)
    best = studies.best_trial(study)
    record = None if best is None else studies.best_record(best, spec.search.metric)
    summary = summarise(
        spec,
        study,
        PLAN,
        best=best,
        record=record,
        scores=scores,
        looks=1,
        wall_s=1.0,
        source_stage_s=0.5,
    )
    write_summary(summary, folder)
    return write_report(folder, spec, study).read_text(encoding="utf-8")


class _Tags(HTMLParser):
    """Fails on a tag that is closed without having been opened, or left open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_verdict_models_curves_values_and_trials(
    tmp_path: Path, study: optuna.Study
) -> None:
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert page.count("<svg") == 3
    assert "The adapted classifier has 95.0% on the sealed test" in page
    assert "Gap closed: 0.83" in page
    assert "95.0%" in page
    assert page.count("<td>stopped early</td>") == sum(
        t.state.name == "PRUNED" for t in study.trials
    )
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path, study: optuna.Study) -> None:
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert (
        re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', re.sub(r'xlink:href="#[^"]*"', "", page))
        == []
    )


def test_the_same_search_gives_the_same_page(tmp_path: Path, study: optuna.Study) -> None:
    assert page_of(tmp_path, study, make_search(), SCORES) == page_of(
        tmp_path, study, make_search(), SCORES
    )


def test_the_picture_of_the_best_epoch_is_in_the_page(tmp_path: Path, study: optuna.Study) -> None:
    best = studies.best_trial(study)
    assert best is not None
    epoch = (studies.best_record(best, "target_val_accuracy") or {})["epoch"]
    assert "base64" not in page_of(tmp_path, study, make_search(), SCORES)
    folder = Path(ResultsFolder(tmp_path).checkpoints(best.number))
    folder.mkdir(parents=True)
    (folder / f"epoch-{epoch:04d}.png").write_bytes(b"a picture")
    assert "data:image/png;base64,YSBwaWN0dXJl" in page_of(tmp_path, study, make_search(), SCORES)


def test_without_target_labels_there_is_no_plot_of_the_test(
    tmp_path: Path, study: optuna.Study
) -> None:
    page = page_of(tmp_path, study, make_search(), None)
    assert "On the sealed test" not in page
    assert page.count("<svg") == 2


def test_what_a_user_wrote_is_text(tmp_path: Path, study: optuna.Study) -> None:
    spec = make_search(search={"warm_start": ["<script>"]})
    assert "<script>" not in page_of(tmp_path, study, spec, SCORES)


def test_a_search_of_which_nothing_ended_has_a_page(tmp_path: Path) -> None:
    spec = make_search(search={"trials": 2})
    study = studies.create_study(spec, None)
    studies.finish(study, studies.ask(study, spec), epochs=9, error="step 1: nan", wall_s=1.0)
    assert "step 1: nan" in page_of(tmp_path, study, spec, None)


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path, study: optuna.Study) -> None:
    page_of(tmp_path, study, make_search(), SCORES)
    (tmp_path / "report.html").unlink()
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ResultsError, match="cannot write"):
        write_report(ResultsFolder(tmp_path), make_search(), study)
