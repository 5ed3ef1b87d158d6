"""The HTML report of a simulated search."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.fake_run import make_run, make_splits
from support.fake_search import make_record, make_search, simulate, smooth
from support.report_results import grid

from adaptune.errors import ResultsError
from adaptune.evaluation.changed_images import (
    ChangedImage,
    ChangedImages,
    write_changed_images,
)
from adaptune.evaluation.held_out import TrialCheckpoint
from adaptune.evaluation.summary import summarise, write_summary
from adaptune.evaluation.test_scores import SelectedBaseline, model_name
from adaptune.evaluation.test_scores import TestScores as Scores
from adaptune.report.data_findings import DataFinding
from adaptune.report.page import write_report
from adaptune.report.stored_inspection import StoredInspection, write_inspection
from adaptune.report.table import Table
from adaptune.results.folder import ResultsFolder, write_table
from adaptune.results.splits_manifest import stored_identity, write_or_verify
from adaptune.spec.schema import SearchSpec
from adaptune.study.study import SearchStudy, create_study
from adaptune.training.bootstrap import Estimate

SCORES = Scores(
    size=100,
    adapted=0.95,
    source_only=0.8,
    information_only=0.9,
    target_supervised=0.98,
    p={"source_only": 0.001, "information_only": 0.1},
)


def page_of(tmp_path: Path, study: SearchStudy, spec: SearchSpec, scores: Scores | None) -> str:
    run = make_run(tmp_path, spec, study)
    best = None
    trial = study.best_trial()
    if trial is not None and trial.best_epoch is not None:
        trial_spec = spec.trial(trial.values)
        record = trial.best_epoch.record
        best = TrialCheckpoint(trial.number, trial.values, trial_spec, record, {})
    summary = summarise(run, best=best, scores=scores, evaluations=1, wall_s=1.0)
    write_summary(summary, run.folder.summary)
    return write_report(run.folder, spec, study).read_text(encoding="utf-8")


class OpenTags(HTMLParser):
    """Fails on a tag that is closed without having been opened, or left open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_verdict_models_curves_values_and_trials(
    tmp_path: Path, study: SearchStudy
) -> None:
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert page.count('<svg class="plot"') == 9
    assert "The adapted classifier has 95.0% on the held-out test set" in page
    assert "Gap closed: 0.83" in page
    assert "95.0%" in page
    pruned = [trial for trial in study.started_trials() if trial.state.name == "PRUNED"]
    assert page.count("</svg>stopped early</td>") == len(pruned)
    assert page.count('<tr data-trial="') == 12
    tags = OpenTags()
    tags.feed(page)
    assert tags.open == []


def test_the_page_shows_metrics_of_the_test_and_the_accuracy_per_class(
    tmp_path: Path, study: SearchStudy
) -> None:
    spec = make_search(search={"metric": "target_val_accuracy"})
    estimates = {"accuracy": Estimate(0.95, (0.9, 0.98)), "mean_recall": Estimate(0.5, (0.4, 0.6))}
    recall = {"<cat>": Estimate(0.25, (0.1, 0.5)), "dog": None}
    metrics = {"adapted": estimates, "source_only": estimates}
    page = page_of(tmp_path, study, spec, replace(SCORES, metrics=metrics, recall=recall))
    assert page.count("<td>50.0 (40.0 to 60.0)</td>") == 2
    assert "<th>mean recall</th>" in page
    assert "<th>AUROC</th>" not in page
    assert "<td>&lt;cat&gt;</td><td>25.0 (10.0 to 50.0)</td>" in page
    assert "There are no confusion matrices" in page
    assert "<td>dog</td><td>no image</td>" in page


def test_the_page_shows_images_whose_class_changed(tmp_path: Path, study: SearchStudy) -> None:
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert "These images are not known" in page
    assert '<figure class="changed">' not in page
    best = study.best_trial()
    assert best is not None
    assert best.best_epoch is not None
    model = model_name(best.number, best.best_epoch.number)
    image = ChangedImage(3, "<cat>", "dog", "<cat>", b"\x89PNG")
    file = ResultsFolder(tmp_path).changed_images
    write_changed_images(ChangedImages(model, 0, 1200, (image,)), file)
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert "<strong>Right before, wrong after: 0</strong></figcaption>" in page
    assert "<strong>Wrong before, right after: 1,200</strong>; 1 are shown" in page
    assert '<img alt="an image of class &lt;cat&gt;" src="data:image/png;base64,iVBORw==">' in page
    assert "<b>&lt;cat&gt;</b><span>dog → &lt;cat&gt;</span>" in page
    write_changed_images(ChangedImages(model, 0, 0, ()), file)
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert "No image of target_test became right or wrong" in page


def test_the_page_shows_what_an_inspection_of_its_data_found(
    tmp_path: Path, study: SearchStudy
) -> None:
    folder = ResultsFolder(tmp_path / "small")
    folder.path.mkdir()
    page = page_of(folder.path, study, make_search(), SCORES)
    assert f"inspect {folder.path}/search.yaml</code> does it" in page
    indices = {"target_test": np.arange(12)}
    write_or_verify(replace(make_splits(), indices=indices), folder)
    table = Table(("class", "source"), [("cat", "12")])
    inspection = StoredInspection(
        findings=(DataFinding("fault", "A <copy>."), DataFinding("warning", "Few images.")),
        leaks=("target_test a.png is in source_train: b.png",),
        counts=table,
        stored=table,
        statistics=table,
    )
    write_inspection(inspection, folder.inspection(stored_identity(folder).digest))
    page = page_of(folder.path, study, make_search(), SCORES)
    assert '<a href="#data">A fault of the data</a>: A &lt;copy&gt;.' in page
    assert '<li class="fault"><b>fault</b> A &lt;copy&gt;.</li>' in page
    assert '<li class="warning"><b>warning</b> Few images.</li>' in page
    assert "<li>target_test a.png is in source_train: b.png</li>" in page
    assert page.count("<td>cat</td>") == 3


def test_the_page_shows_the_choices_of_the_baselines(tmp_path: Path, study: SearchStudy) -> None:
    selected = {"information_only": SelectedBaseline("information 1", epoch=3, updates=80)}
    scores = replace(SCORES, selected=selected, best_baseline="information_only")
    page = page_of(tmp_path, study, make_search(), scores)
    assert "<h3>Baselines</h3>" in page
    row = "<td>information only (best)</td><td>information 1</td><td>3</td><td>80</td>"
    assert f"<tr>{row}<td>90.0 (82.4 to 95.1)</td></tr>" in page
    assert "updates: " not in page
    assert re.search(r"Updates: [\d,]+ by the trials of the search, 80 by the baselines\.", page)
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert "No baseline was trained in this search" in page


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path, study: SearchStudy) -> None:
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page) == []
    assert not re.search(r"@import|url\(|//[a-z]", page)


def test_the_same_search_gives_the_same_page(tmp_path: Path, study: SearchStudy) -> None:
    first = page_of(tmp_path, study, make_search(), SCORES)
    assert page_of(tmp_path, study, make_search(), SCORES) == first


def test_the_sample_grid_of_the_best_epoch_is_in_the_page(
    tmp_path: Path, study: SearchStudy
) -> None:
    best = study.best_trial()
    assert best is not None
    assert best.best_epoch is not None
    assert "base64" not in page_of(tmp_path, study, make_search(), SCORES)
    checkpoints = ResultsFolder(tmp_path).checkpoints(best.number)
    checkpoints.save_sample_grid(best.best_epoch.number, grid(np.random.default_rng(0)))
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert page.count("data:image/webp;base64,") == 2


def test_the_sample_grid_of_a_group_is_in_the_folder_of_its_first_trial(tmp_path: Path) -> None:
    study = create_study(make_search())
    for trial, accuracy in zip(study.ask_group(2), (0.5, 0.75), strict=True):
        study.add_epoch(trial, make_record(1, accuracy), accuracy)
        study.tell_result(trial, epochs=9, error=None, wall_s=1.0)
    ResultsFolder(tmp_path).checkpoints(0).save_sample_grid(1, grid(np.random.default_rng(0)))
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert '<option value="0" data-trials="0 1" data-leads="1">0, 1 (best)</option>' in page


def test_without_target_labels_there_is_no_plot_of_the_test(
    tmp_path: Path, study: SearchStudy
) -> None:
    sentence = "There is no score on target_test"
    assert sentence not in page_of(tmp_path, study, make_search(), SCORES)
    page = page_of(tmp_path, study, make_search(), None)
    assert sentence in page
    assert page.count('<svg class="plot"') == 8


def test_a_users_text_is_no_markup(tmp_path: Path, study: SearchStudy) -> None:
    spec = make_search(search={"warm_start": ["<script>"]})
    page = page_of(tmp_path, study, spec, SCORES)
    assert "- <script>" not in page
    assert "&lt;script&gt;" in page


def test_a_search_without_a_finished_trial_has_a_page(tmp_path: Path) -> None:
    spec = make_search(search={"trials": 2})
    study = create_study(spec)
    study.tell_result(study.ask(), epochs=9, error="step 1: <nan> & [/x]", wall_s=1.0)
    assert "step 1: &lt;nan&gt; &amp; [/x]" in page_of(tmp_path, study, spec, None)


def test_a_search_of_nothing_has_no_plot_of_its_values(tmp_path: Path, study: SearchStudy) -> None:
    sentence = "Nothing is searched"
    assert sentence not in page_of(tmp_path, study, make_search(), None)
    spec = make_search(space={})
    assert sentence in page_of(tmp_path, create_study(spec), spec, None)


def test_the_page_has_the_tables_of_confirm_and_ablate(tmp_path: Path, study: SearchStudy) -> None:
    assert f"adaptune ablate {tmp_path}</code>" in page_of(tmp_path, study, make_search(), SCORES)
    (tmp_path / "ablation").mkdir()
    rows = {
        "configuration": ["no cycle"],
        "seeds": [3],
        "mean": [0.91],
        "standard_error": [0.005],
    }
    table = pa.table(rows).replace_schema_metadata({"conclusion": "no identity: the same."})
    write_table(tmp_path / "ablation" / "ablation.parquet", table)
    page = page_of(tmp_path, study, make_search(), SCORES)
    assert "adaptune ablate" not in page
    assert "<td>91.0 ± 0.5</td>" in page
    assert "<p>no identity: the same.</p>" in page
    assert f"Not run: <code>adaptune confirm {tmp_path}</code>" in page


def test_unhealthy_trials_and_a_warm_start_are_named(tmp_path: Path) -> None:
    spec = make_search()
    study = create_study(spec)
    study.record_warm_start({"results/earlier": 4})
    study.ask().set_user_attr("unhealthy", "label flip: 4 as 9")
    page = page_of(tmp_path, study, spec, None)
    assert "Unhealthy trials: trial 0 (label flip: 4 as 9)." in page
    assert "Warm start: the sampler also learned from 4 trial(s) of results/earlier." in page


def test_a_page_that_cannot_be_written_is_reported(tmp_path: Path, study: SearchStudy) -> None:
    page_of(tmp_path, study, make_search(), SCORES)
    (tmp_path / "report.html").unlink()
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ResultsError, match="cannot write"):
        write_report(ResultsFolder(tmp_path), make_search(), study)


def test_a_search_that_has_not_finished_has_a_page(tmp_path: Path) -> None:
    study = simulate(make_search(), None, smooth, stop_after=12)
    page = write_report(ResultsFolder(tmp_path), make_search(), study).read_text(encoding="utf-8")
    ended = [trial for trial in study.started_trials() if trial.state.is_finished()]
    assert f"The search has not finished: {len(ended)} of 12 trials have ended." in page
    assert "Best so far: trial " in page
    assert "The held-out test is evaluated once, when the search has finished." in page
    assert page.count('<svg class="plot"') >= 4


def test_a_search_without_any_trial_has_a_page(tmp_path: Path) -> None:
    study = create_study(make_search())
    page = write_report(ResultsFolder(tmp_path), make_search(), study).read_text(encoding="utf-8")
    assert "No trial has started." in page
    assert '<svg class="plot"' not in page


def test_a_damaged_summary_is_reported(tmp_path: Path, study: SearchStudy) -> None:
    ResultsFolder(tmp_path).summary.write_text("{}")
    with pytest.raises(ResultsError, match=r"summary.json is damaged"):
        write_report(ResultsFolder(tmp_path), make_search(), study)
