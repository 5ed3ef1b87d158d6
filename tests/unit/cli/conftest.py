from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from adaptune.cli import app as cli
from adaptune.cli import search as runs


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `adaptune ARGUMENTS…` in this process, on a machine of 2 CPUs, where Ray must not start."""
    from adaptune.cluster import connection

    def refuse(*_: object) -> None:
        raise AssertionError("Ray would have been started")

    monkeypatch.setattr(connection, "joined", refuse)
    monkeypatch.setattr(runs, "local_resources", lambda: {"CPU": 2.0, "GPU": 0.0})

    def _run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["adaptune", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        return Ran(
            code if isinstance(code, int) else 0 if code is None else 1, *capsys.readouterr()
        )

    return _run


def save_classes(root: Path, count: int = 8, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """An image folder of noise."""
    random = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


@pytest.fixture
def classes() -> Callable[..., Path]:
    return save_classes


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A valid search space over two small image folders; its results go to tmp_path/results."""
    source, target = save_classes(tmp_path / "source"), save_classes(tmp_path / "target")
    file = tmp_path / "space.yaml"
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
storage: {{out: {tmp_path / "results"}}}
""",
        encoding="utf-8",
    )
    return file
