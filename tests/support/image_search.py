"""A search of images in folders, and its results after it was killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adaptune.data.splits import load_splits
from adaptune.results.folder import ResultsFolder
from adaptune.results.lifecycle import create_or_resume
from adaptune.results.splits_manifest import write_or_verify
from adaptune.spec import load_spec
from adaptune.study.inputs import record_inputs
from adaptune.study.job import make_job
from adaptune.study.storage import open_study
from adaptune.training.build import build_classifier
from adaptune.training.state import build_state
from support.fake_search import make_record
from support.tiny_trial import save


def write_classes(root: Path, count: int = 8, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Write a folder of noise images of 16 px, with `count` of them per class."""
    random = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def write_space(folder: Path) -> Path:
    """Write a search space over two small image folders; its results go to `folder/results`."""
    source = write_classes(folder / "source")
    target = write_classes(folder / "target")
    file = folder / "space.yaml"
    file.write_text(
        f"""\
name: small
data:
  source: {{domain: "imagefolder:{source}", size: 16}}
  target: {{domain: "imagefolder:{target}", size: 16}}
model:
  generator: {{width: 4, blocks: 1}}
  discriminator: {{width: 4, layers: 1}}
  feature_discriminator: {{width: 4}}
training: {{epochs: 2, batch_size: 64, pool_size: 2}}
loss_weights:
  cycle: {{search: loguniform, low: 0.1, high: 30}}
search: {{trials: 3}}
storage: {{out: {folder / "results"}}}
""",
        encoding="utf-8",
    )
    return file


def make_killed_search(space: Path) -> ResultsFolder:
    """Results of three trials: one complete, one failed, one interrupted.

    Only the first one has a checkpoint.
    """
    spec = load_spec(space)
    folder = create_or_resume(spec, resume=False)
    study = open_study(spec, folder.journal)
    write_or_verify(load_splits(spec.data, spec.seed), folder)
    inputs, _ = record_inputs(study, data="data", source_classifier="f_S", device="CPU", images=9)
    first = study.ask()
    study.add_epoch(first, make_record(1, 0.5), 0.5)
    study.add_epoch(first, make_record(2, 0.75), 0.75)
    study.tell_result(first, epochs=2, error=None, wall_s=6)
    failed = study.ask()
    study.tell_result(failed, epochs=2, error="step 3: the cycle term is nan", wall_s=1)
    study.add_epoch(study.ask(), make_record(1, 0.25), 0.25)
    job = make_job(spec, 0, first.params, folder, inputs)
    torch.manual_seed(0)
    f_s = build_classifier(job.spec.model.classifier, job.spec.data.source, 2)
    state = build_state(job.spec, 2, f_s.state_dict(), torch.device("cpu"))
    save(job.checkpoints, state, make_record(2, 0.75))
    return folder
