"""The verbs, on a search that was killed and on its exports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console

from adaptune.cli import search as runs
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import claim
from adaptune.search.trial import make_job
from adaptune.spec import load_spec
from adaptune.study import study as studies
from adaptune.study.storage import open_study
from adaptune.training.build import build_classifier
from adaptune.training.state import build_state

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def killed(space: Path) -> ResultsFolder:
    """A search of three trials: one complete, one failed, one interrupted. Only the first has a checkpoint."""
    spec = load_spec(space)
    folder = claim(spec, resume=False)
    study = open_study(spec, str(folder.journal))
    for accuracies, error in (
        ((0.5, 0.75), None),
        ((), "step 3: the cycle term is nan"),
        ((0.25,), "killed"),
    ):
        trial = studies.ask(study, spec)
        for epoch, accuracy in enumerate(accuracies, start=1):
            record = {
                "epoch": epoch,
                "target_val_accuracy": accuracy,
                "target_val_loss": 1.0,
                "loss/cycle": 0.1,
            }
            studies.add_epoch(trial, record, accuracy)
        if error != "killed":
            studies.finish(study, trial, epochs=2, error=error, wall_s=1)
    best = study.trials[0]
    job = make_job(spec, 0, best.params, folder)
    torch.manual_seed(0)
    f_s = build_classifier(job.spec.model.classifier, job.spec.data.source, 2)
    state = build_state(job.spec, 2, f_s.state_dict(), torch.device("cpu"))
    job.checkpoints.save(state, {"epoch": 2})
    return folder


@pytest.fixture
def exported(run: Run, killed: ResultsFolder, tmp_path: Path) -> Path:
    assert run("export", killed.path, "--to", tmp_path / "export")[0] == 0
    return tmp_path / "export"


def test_status_of_a_killed_search(run: Run, killed: ResultsFolder) -> None:
    before = killed.journal.read_bytes()
    status, out, error = run("status", killed.path)
    assert (status, error) == (0, "")
    assert out.startswith("small: 3 of 3 trials: 1 complete, 1 failed, 1 running or interrupted\n")
    assert "best so far: trial 0, epoch 2, target_val 75.0%" in out
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert "2/2" in rows[0]
    assert "1/2" in rows[2]
    assert killed.journal.read_bytes() == before


def test_status_before_the_first_trial_and_of_no_search(
    run: Run, tmp_path: Path, space: Path
) -> None:
    assert "holds no search" in refusal(run, "status", tmp_path)
    folder = claim(load_spec(space), resume=False)
    assert "has not begun its trials" in refusal(run, "status", folder.path)
    open_study(load_spec(space), str(folder.journal))
    assert run("status", folder.path)[1] == "small: 0 of 3 trials\n"


def refusal(run: Run, *arguments: object) -> str:
    status, _, error = run(*arguments)
    assert status == 2
    assert "Traceback" not in error
    return error


def test_export_has_target_val_figures_only(run: Run, killed: ResultsFolder) -> None:
    status, out, _ = run("export", killed.path)
    folder = killed.path / "exports" / "0"
    assert status == 0
    assert out == f"trial 0, epoch 2, exported to {folder}\n"
    assert json.loads((folder / "metrics.json").read_text()) == {
        "trial": 0,
        "epoch": 2,
        "target_val_accuracy": 0.75,
        "target_val_loss": 1.0,
    }
    assert json.loads((folder / "config.json").read_text())["class_names"] == ["cat", "dog"]


def test_export_of_what_is_not_there(run: Run, killed: ResultsFolder) -> None:
    assert "there is no trial 7; there are 0, 1, 2" in refusal(
        run, "export", killed.path, "--trial", 7
    )
    assert "trial 1 has not finished an epoch" in refusal(run, "export", killed.path, "--trial", 1)
    status, _, error = run("export", killed.path, "--trial", 2)
    assert status == 1
    assert "cannot read checkpoint" in error
    assert "Traceback" not in error


def test_predict_prints_path_class_and_probability(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    status, out, _ = run(
        "predict", exported, tmp_path / "target" / "cat", tmp_path / "target" / "dog" / "0.png"
    )
    lines = [line.split("\t") for line in out.splitlines()]
    assert status == 0
    assert len(lines) == 9
    assert lines[8][0] == str(tmp_path / "target" / "dog" / "0.png")
    for _, name, probability in lines:
        assert name in ("cat", "dog")
        assert 0.5 <= float(probability) <= 1


def test_predict_refuses_a_bad_image_in_words(run: Run, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    error = refusal(run, "predict", exported, tmp_path / "bad.png")
    assert error.startswith(f"adaptune: {tmp_path}/bad.png cannot be read as an image")
    assert error.count("\n") == 1
    assert "there is no image or folder nowhere.png" in refusal(
        run, "predict", exported, "nowhere.png"
    )
    assert "is not an export" in refusal(run, "predict", tmp_path, tmp_path / "bad.png")


def test_translate_writes_a_png_an_image(run: Run, exported: Path, tmp_path: Path) -> None:
    images = tmp_path / "source" / "cat"
    to_target, to_source = tmp_path / "to-target", tmp_path / "to-source"
    status, out, _ = run("translate", exported, images, "--to", to_target)
    assert status == 0
    assert out.splitlines() == [str(to_target / f"{index}.png") for index in range(8)]
    with Image.open(to_target / "0.png") as image:
        assert image.size == (16, 16)
    assert (
        run("translate", exported, images, "--to", to_source, "--direction", "target_to_source")[0]
        == 0
    )
    assert (to_source / "0.png").read_bytes() != (to_target / "0.png").read_bytes()
    assert "'sideways'" in refusal(
        run, "translate", exported, images, "--to", to_target, "--direction", "sideways"
    )


def test_evaluate_scores_a_labelled_domain(run: Run, exported: Path, tmp_path: Path) -> None:
    status, out, _ = run("evaluate", exported, "--data", f"imagefolder:{tmp_path / 'target'}")
    assert status == 0
    assert " of 16 images (" in out
    assert "The model was trained on this domain" in out
    assert "The search's sealed test is among these images" in out
    assert "there is no domain 'mars'" in refusal(run, "evaluate", exported, "--data", "mars")


def test_datasets_lists_the_domains(run: Run) -> None:
    status, out, _ = run("datasets")
    assert status == 0
    assert "optdigits" in out
    assert "parquet:PATH" in out


def test_report_of_a_search_that_has_not_ended_and_of_one_that_has(
    run: Run, killed: ResultsFolder
) -> None:
    status, _, error = run("report", killed.path)
    assert status == 2
    assert "has no summary yet: the search has not ended" in error
    figures = {"verdict": "It helped.", "trials_sick": {"label flip": 2}, "device_s_useful": 12.0}
    killed.summary.write_text(json.dumps(figures))
    status, out, _ = run("report", killed.path)
    assert status == 0
    assert out.startswith("It helped.\n")
    assert "of trials that ran to their end   12" in out
    assert (killed.path / "report.html").read_text().count("<svg") == 2
    assert out.endswith(f"with plots: {killed.path / 'report.html'}\n")
    assert "sick trials: 2 label flip" in out


def test_a_search_without_a_summary_gets_no_page(
    killed: ResultsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    runs._write_page(killed, load_spec(killed.spec), Console())
    assert capsys.readouterr().out == ""
    assert not killed.report.exists()


def test_report_has_the_tables_of_confirm_and_ablate(run: Run, killed: ResultsFolder) -> None:
    killed.summary.write_text(json.dumps({"verdict": "It helped."}))
    (killed.path / "ablation").mkdir()
    (killed.path / "ablation" / "ablation.md").write_text(
        "| setting | seeds | test accuracy |\n|---|---|---|\n| no cycle | 3 | 91.0 ± 0.5 |\n\nIt is worth it.\n"
    )
    out = run("report", killed.path)[1]
    assert "ablation:" in out
    assert "no cycle   3       91.0 ± 0.5" in out
    assert "It is worth it." in out
    assert "confirm:" not in out


def test_report_of_two_objectives_has_the_pareto_front(run: Run, space: Path) -> None:
    spec = load_spec(space, ["search.sampler=nsga2"])
    folder = claim(spec, resume=False)
    study = open_study(spec, str(folder.journal))
    for accuracy, seconds in ((0.9, 30.0), (0.5, 40.0), (0.6, 5.0)):
        trial = studies.ask(study, spec)
        record = {
            "epoch": 2,
            "target_val_accuracy": accuracy,
            "target_val_loss": 1.0,
            "train_s": seconds,
            "eval_s": 0.0,
        }
        studies.add_epoch(trial, record, accuracy)
        studies.finish(study, trial, epochs=2, error=None, wall_s=1)
    folder.summary.write_text(json.dumps({"verdict": "It helped."}))
    front = [
        line.split()
        for line in run("report", folder.path)[1].splitlines()
        if line.strip().startswith("trial ")
    ]
    assert [row[:5] for row in front] == [
        ["trial", "2", "target_val", "60.0%", "5"],
        ["trial", "0", "target_val", "90.0%", "30"],
    ]
