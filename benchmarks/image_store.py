"""Preparation of many images, and training on them from disk and from memory.

    python benchmarks/image_store.py [--images 2000] [--size 64]

All figures are ratios within one run, except the time of the second start. The images are JPEG
files of 160 px, in class folders, half of them in each domain. Limits: two processes prepare at
least 1.8 times as fast as one, the peak memory is at most 1.2 times that of 1,000 images, a second
start takes at most 2 s for 100,000 images, and a step on streamed images takes at most 1.05 times
as long as one on images in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adaptune.data.image_set import ImageSet, MemoryImages
from adaptune.data.sampling import UnpairedSampler
from adaptune.data.splits import Splits, TrialData, open_splits
from adaptune.spec import SearchSpec, load_spec
from adaptune.training.build import build_classifier
from adaptune.training.state import build_state
from adaptune.training.steps.batch import TrainingImages
from adaptune.training.steps.cycada import cycada_step

CLASSES = 10
STORED_PX = 160
DISTINCT = 500  # images that are drawn; the others repeat them in files of their own
ROUNDS = 12
STEPS = 4  # updates per round and kind
FEW = 1000


def write_images(root: Path, count: int, seed: int) -> None:
    """Write JPEG files in class folders."""
    random = np.random.default_rng(seed)
    contents = []
    for _ in range(min(count, DISTINCT)):
        coarse = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((STORED_PX, STORED_PX), Image.Resampling.BICUBIC)
        draft = root / "draft.jpg"
        root.mkdir(parents=True, exist_ok=True)
        image.save(draft, quality=85)
        contents.append(draft.read_bytes())
        draft.unlink()
    for label in range(CLASSES):
        (root / f"class{label}").mkdir(exist_ok=True)
    for index in range(count):
        content = contents[index % len(contents)] + index.to_bytes(8, "big")  # after the image
        (root / f"class{index % CLASSES}" / f"{index:07}.jpg").write_bytes(content)


def make_spec(folder: Path, count: int, size: int, cache: str) -> SearchSpec:
    """Return a search with small networks on the images of a folder."""
    overrides = [f"data.cache={folder / cache}"]
    for role in ("source", "target"):
        overrides += [
            f'data.{role}.domain="imagefolder:{folder / f"{role}-{count}"}"',
            f"data.{role}.size={size}",
            f"data.{role}.channels=3",
            f"data.{role}.crop=null",
        ]
    return load_spec("mnist_optdigits.yaml", overrides)


def prepare_s(spec: SearchSpec, workers: int) -> float:
    """Prepare all images on so many cores; return the seconds that it took."""
    cores = os.sched_getaffinity(0)
    threads = torch.get_num_threads()
    os.sched_setaffinity(0, sorted(cores)[:workers])
    torch.set_num_threads(workers)  # more than cores would wait for each other
    begin = time.perf_counter()
    open_splits(spec.data, spec.seed).load()
    seconds = time.perf_counter() - begin
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)
    return seconds


def in_memory(images: ImageSet) -> MemoryImages:
    """Return images of a store as an array."""
    pixels = images.take(np.arange(len(images)))
    return MemoryImages(pixels, images.stored_digests())


def step_ratio(spec: SearchSpec, splits: Splits) -> float:
    """Return the time of an update on streamed images over that on images in memory."""
    trial_spec = spec.trial({}, seed=0)
    torch.manual_seed(0)
    f_s = build_classifier(trial_spec.model.classifier, trial_spec.data.source, CLASSES)
    kinds = {"streamed": splits.trial, "memory": _in_memory(splits.trial)}
    rounds = {kind: _rounds(spec, data, f_s.state_dict(), f_s) for kind, data in kinds.items()}
    ratios = []
    for index in range(ROUNDS):
        order = list(rounds) if index % 2 else list(reversed(rounds))
        seconds = {kind: next(rounds[kind]) for kind in order}
        ratios.append(seconds["streamed"] / seconds["memory"])
    return statistics.median(ratios[1:])  # the first round warms up


def _in_memory(data: TrialData) -> TrialData:
    return replace(
        data,
        source_train_images=in_memory(data.source_train_images),
        target_train_images=in_memory(data.target_train_images),
    )


def _rounds(
    spec: SearchSpec,
    data: TrialData,
    source_weights: dict[str, torch.Tensor],
    f_s: torch.nn.Module,
) -> Iterator[float]:
    """Yield the seconds of some updates, again and again."""
    trial_spec = spec.trial({}, seed=0)
    state = build_state(trial_spec, CLASSES, source_weights, torch.device("cpu"))
    images = TrainingImages(data, torch.device("cpu"))
    images.predict(f_s)
    batch_size = trial_spec.training.batch_size
    sampler = UnpairedSampler(len(images.source), len(images.target), batch_size, seed=0)
    while True:
        start = time.perf_counter()
        for _ in range(STEPS):
            cycada_step([state], images.batch(sampler, state.step, true_semantic=False))
            state.step += 1
        yield time.perf_counter() - start


def start_in_process(folder: Path, count: int, size: int) -> tuple[float, float]:
    """Open prepared images in a process of its own; return seconds and its peak memory in MB."""
    command = [sys.executable, __file__, "--start", str(folder)]
    command += ["--images", str(count), "--size", str(size)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, peak_mb = json.loads(output)
    return seconds, peak_mb


def start(folder: Path, count: int, size: int) -> tuple[float, float]:
    """Open the images; return seconds and the peak memory of this process in MB."""
    spec = make_spec(folder, count, size, "cache-2")
    begin = time.perf_counter()
    splits = open_splits(spec.data, spec.seed).load()
    splits.digest()
    splits.pixel_digest()
    seconds = time.perf_counter() - begin
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start is not None:
        print(json.dumps(start(options.start, options.images, options.size)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in {FEW, options.images}:
            for seed, role in enumerate(("source", "target")):
                write_images(folder / f"{role}-{count}", count // 2, seed)
        seconds = {}
        for workers in (1, 2):
            cache = f"cache-{workers}"
            spec = make_spec(folder, options.images, options.size, cache)
            seconds[workers] = prepare_s(spec, workers)
        print(f"preparing {options.images:,} images: {seconds[2]:.1f} s with two processes,")
        print(f"  {seconds[1] / seconds[2]:.2f} times as fast as with one")
        _, few_mb = start_in_process(folder, FEW, options.size)  # prepares them
        _, few_mb = start_in_process(folder, FEW, options.size)
        second_start_s, many_mb = start_in_process(folder, options.images, options.size)
        print(f"second start: {second_start_s:.2f} s")
        print(f"peak memory: {many_mb:.0f} MB, {many_mb / few_mb:.2f} times that of {FEW:,} images")
        spec = make_spec(folder, options.images, options.size, "cache-2")
        ratio = step_ratio(spec, open_splits(spec.data, spec.seed).load())
        print(f"step: {ratio:.3f} times as long from disk as from memory")


if __name__ == "__main__":
    main()
