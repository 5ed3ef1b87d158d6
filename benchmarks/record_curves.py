"""Learning curves of real trials, with settings that fill a search space.

    python benchmarks/record_curves.py --space mnist_optdigits.yaml --out FOLDER
    python benchmarks/record_curves.py --space mnist_optdigits.yaml --out FOLDER --merge FILE

Trains groups of trials that share a GAN in this process, with one thread and all epochs. Each
group that ends is a Parquet file in the folder; those that are there are skipped. The first groups
of the design fill the space as all do, so that one may stop at any time, or ask for more groups
later. Processes with the same options but different `--part` share the work. The held-out test
images are never read.

`--merge` trains nothing: it writes the curves of the folder to one file, which curve_facts.py and
search_quality.py read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from curve_design import Design
from curve_table import ACCURACY, LOSS, Recipe, Row, merge_curves, read_recipe, write_curves
from rich.console import Console

from adaptune.data.splits import TrialData, load_splits
from adaptune.files import make_folder
from adaptune.spec import SearchSpec, TrialSpec, load_spec
from adaptune.spec.distributions import Value
from adaptune.training.build import build_classifier
from adaptune.training.epoch_evaluator import EpochEvaluator
from adaptune.training.epoch_trainer import EpochTrainer
from adaptune.training.group import GroupTrial, TrialGroup
from adaptune.training.loop import evaluate_group
from adaptune.training.record import TARGET_VAL, EpochRecord
from adaptune.training.source_classifier import train_source_classifier
from adaptune.training.state import StateDict
from adaptune.training.steps.batch import TrainingImages
from adaptune.training.weights_file import read_weights, write_weights

CPU = torch.device("cpu")


@dataclass(frozen=True)
class SeedSetup:
    """The data and the source classifier that all trials with the same seed share.

    Attributes:
        seed: the seed.
        data: the data of the trials.
        source_weights: weights of f_S.
        images: training images, with the labels that f_S predicts.
    """

    seed: int
    data: TrialData
    source_weights: StateDict
    images: TrainingImages


def set_up(spec: SearchSpec, seed: int, weights_file: Path) -> SeedSetup:
    """Return what the trials of a seed share; f_S is trained unless the file has its weights."""
    data = load_splits(spec.data, seed).trial
    f_s = build_classifier(spec.model.classifier, spec.data.source, len(data.class_names))
    weights = read_weights(weights_file, f_s)
    if weights is None:
        weights = train_source_classifier(spec.trial({}, seed), data, CPU)
        write_weights(weights_file, weights)
    f_s.load_state_dict(weights)
    images = TrainingImages(data, CPU)
    images.predict(f_s)
    return SeedSetup(seed, data, weights, images)


class GroupTraining:
    """The training of trials that share a GAN.

    Args:
        trials: their specs.
    """

    def __init__(self, setup: SeedSetup, trials: Sequence[TrialSpec]) -> None:
        self._group = TrialGroup(
            {number: GroupTrial(trial) for number, trial in enumerate(trials)},
            len(setup.data.class_names),
            setup.source_weights,
            CPU,
        )
        self._trainer = EpochTrainer(trials[0], setup.images, None)
        self._evaluator = EpochEvaluator(
            trials[0], setup.data, setup.images, CPU, check_health=False, has_validators=False
        )

    @property
    def has_ended(self) -> bool:
        """True if all trials have failed."""
        return not self._group.members

    def train(self, epoch: int) -> float:
        """Train an epoch, and return its CPU seconds."""
        start = time.process_time()
        self._trainer.train(epoch, list(self._group.members.values()))
        return time.process_time() - start

    def evaluate(self, epoch: int) -> Iterator[tuple[int, EpochRecord | None]]:
        """Yield the number and the record of each trial; None for one that fails and ends."""
        outcomes = evaluate_group(self._group, epoch, self._evaluator, TARGET_VAL, 0.0)
        for number, outcome in outcomes.items():
            if isinstance(outcome, EpochRecord):
                yield number, outcome
                continue
            self._group.end([number])
            yield number, None


def record_group(
    spec: SearchSpec, setup: SeedSetup, trials: Sequence[dict[str, Value]]
) -> list[Row]:
    """Train a group, and return a row per trial and epoch.

    Args:
        trials: searched values of each trial, by dotted path.
    """
    specs = [spec.trial(values, setup.seed) for values in trials]
    alone_s = GroupTraining(setup, specs[:1]).train(epoch=1)
    training = GroupTraining(setup, specs)
    rows: list[Row] = []
    for epoch in range(1, spec.epochs + 1):
        if training.has_ended:
            break
        group_s = training.train(epoch)
        for number, record in training.evaluate(epoch):
            row: dict[str, object] = {"trial": number, "epoch": epoch, **trials[number]}
            row |= {ACCURACY: None, LOSS: None, "group_s": group_s, "alone_s": alone_s}
            if record is not None:
                row |= {ACCURACY: record.target_val_accuracy, LOSS: record.target_val_loss}
                row["eval_s"] = record.eval_s
            rows.append(row)
    return rows


def record(spec: SearchSpec, options: argparse.Namespace, console: Console) -> None:
    """Train the groups of this part that have not ended, and write each to its file."""
    design = Design(spec.space, options.group_size)
    for seed in options.seeds:
        setup = None
        for number in range(options.part, options.groups, options.parts):
            file = options.out / f"seed{seed}-group{number:03}.parquet"
            if file.exists():
                continue
            if setup is None:
                setup = set_up(spec, seed, options.out / f"seed{seed}-f_s.safetensors")
            recipe = Recipe.of(spec, len(setup.data.target_val_labels))
            check_recipe(options.out, recipe)
            start = time.monotonic()
            rows = record_group(spec, setup, design.group(number))
            write_curves(file, recipe, [{"seed": seed, "group": number, **row} for row in rows])
            best = max(row[ACCURACY] or 0.0 for row in rows)
            console.print(
                f"seed {seed}, group {number}: {time.monotonic() - start:.0f} s,"
                f" highest accuracy {best:.3f}"
            )


def group_files(folder: Path) -> list[Path]:
    """Return the files of the groups that have ended."""
    return sorted(folder.glob("seed*-group*.parquet"))


def check_recipe(folder: Path, recipe: Recipe) -> None:
    """Exit if the curves in a folder belong to other settings."""
    for file in group_files(folder):
        if read_recipe(file).to_json() != recipe.to_json():
            raise SystemExit(f"{file} has other settings: give another folder to --out")


def main() -> None:
    """Record or merge curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", required=True, help="search space file")
    parser.add_argument("--set", nargs="+", default=[], help="overrides, such as training.epochs=8")
    parser.add_argument("--out", type=Path, required=True, help="folder of the groups' files")
    parser.add_argument("--groups", type=int, default=24)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--part", type=int, default=0, help="from 0")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--merge", type=Path, help="file for the curves in the folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.merge:
        merge_curves(group_files(options.out), options.merge)
        return
    make_folder(options.out)
    group = [f"search.classifiers_per_gan={options.group_size}", "search.start_points=[]"]
    record(load_spec(options.space, [*options.set, *group]), options, Console(highlight=False))


if __name__ == "__main__":
    main()
