"""A node for trials calibrates the best model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.calibrations import make_calibration
from support.fake_run import make_run, make_tiny_search, save_checkpoint
from support.fake_search import make_record

from adaptune.evaluation import target_calibration
from adaptune.evaluation.held_out import best_checkpoint
from adaptune.evaluation.target_calibration import calibrate_best
from adaptune.training.checkpoint_format import eval_weights


def test_the_weights_of_the_best_model_are_calibrated_on_the_data_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Any = make_run(tmp_path, make_tiny_search())
    trial = run.study.ask()
    run.study.add_epoch(trial, make_record(2, 0.5), 0.5)
    run.study.tell_result(trial, epochs=2, error=None, wall_s=1.0)
    save_checkpoint(run.spec, run.folder, 0, trial.params, make_record(2, 0.5), 1)
    best = best_checkpoint(run)
    assert best is not None
    assert calibrate_best(run, best) is None  # six images are too few
    assert run.tasks.submitted == ["calibration for the target, 2 CPU"]
    calls: list[Any] = []

    def calibrate(*arguments: Any) -> object:
        calls.append(arguments)
        return make_calibration()

    monkeypatch.setattr(target_calibration, "calibrate_weights", calibrate)
    assert calibrate_best(run, best) == make_calibration()
    [(spec, weights, data, device)] = calls
    assert spec == best.spec
    for name, value in eval_weights(best.contents, "f_t").items():
        assert torch.equal(weights[name], value)
    assert np.array_equal(data.source_labels, run.splits.trial.source_val_labels)
    assert device == torch.device("cpu")
