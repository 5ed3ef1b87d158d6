from __future__ import annotations

from pathlib import Path
from typing import Any

from support.fake_run import constant_classifier, make_run, make_splits

from adaptune.evaluation.predictions import predict


def test_models_predict_the_same_images_in_one_task(tmp_path: Path) -> None:
    run: Any = make_run(tmp_path, splits=make_splits(test_samples=4))
    spec = run.spec.trial({})
    withheld = run.splits.withheld
    models = {name: constant_classifier(spec, label) for name, label in (("x", 2), ("y", 0))}
    predictions = predict(
        run, spec, models, withheld.target_test_images, withheld.target_test_labels
    )
    assert predictions["x"].hits.tolist() == [False, False, False, True]
    assert predictions["y"].hits.tolist() == [True, False, True, False]
    assert predictions["x"].class_names == run.splits.trial.class_names
    assert run.tasks.submitted == ["evaluation, 2 CPU"]
