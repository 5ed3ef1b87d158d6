from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from adaptune.errors import SpecError
from adaptune.spec.model import ClassifierSpec
from adaptune.training import pretrained as module
from adaptune.training.pretrained import (
    forget_pretrained,
    pretrained_identity,
    read_pretrained,
)

WEIGHTS = {"stem.weight": torch.arange(6.0).view(2, 3)}


@pytest.fixture(autouse=True)
def _nothing_read_before() -> None:
    forget_pretrained()


def classifier(file: Path | str, **options: Any) -> ClassifierSpec:
    tree = {"name": "torchvision:resnet18", "weights": str(file), **options}
    return ClassifierSpec.model_validate(tree)


def write(file: Path, weights: dict[str, Tensor] = WEIGHTS) -> str:
    if file.suffix == ".safetensors":
        save_file(weights, file)
    else:
        torch.save(weights, file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.pt"])
def test_weights_are_read_from_each_kind_of_file(name: str, tmp_path: Path) -> None:
    digest = write(tmp_path / name)
    spec = classifier(tmp_path / name, weights_sha256=digest)
    assert torch.equal(read_pretrained(spec, 32)["stem.weight"], WEIGHTS["stem.weight"])


def test_a_process_reads_a_file_once_unless_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.pth"
    write(file)
    reads = []
    parse = module._parse

    def counted(path: Path, body: bytes) -> Any:
        reads.append(path)
        return parse(path, body)

    monkeypatch.setattr(module, "_parse", counted)
    for _ in range(3):
        read_pretrained(classifier(file), 32)
    assert len(reads) == 1
    write(file, {"other.weight": torch.zeros(1000)})
    assert list(read_pretrained(classifier(file), 32)) == ["other.weight"]
    assert len(reads) == 2


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    digest = write(tmp_path / "a.pth")
    spec = classifier(tmp_path / "a.pth", weights_sha256="0" * 64)
    with pytest.raises(SpecError, match=rf"a\.pth have the SHA-256 {digest}, not 0000"):
        read_pretrained(spec, 32)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
@pytest.mark.parametrize("body", [b"", b"damaged", b"\x80\x02damaged"])
def test_a_damaged_file_is_refused(name: str, body: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(SpecError, match="cannot be read"):
        read_pretrained(classifier(tmp_path / name), 32)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(SpecError, match="cannot be read"):
        read_pretrained(classifier(tmp_path / "a.pth"), 32)


def test_a_file_with_more_than_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"model": WEIGHTS, "epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(SpecError, match=r"are no state dict: save `model\.state_dict\(\)`"):
        read_pretrained(classifier(tmp_path / "a.pth"), 32)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    spec = classifier(tmp_path / "a.pth")
    for use in (lambda: read_pretrained(spec, 32), lambda: pretrained_identity(spec)):
        with pytest.raises(SpecError, match="No such file or directory; every node must have"):
            use()


def test_the_weights_of_the_library_are_those_of_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def get_model(name: str, weights: str) -> nn.Module:
        assert (name, weights) == ("resnet18", "DEFAULT")
        return nn.Linear(2, 2)

    monkeypatch.setattr(models, "get_model", get_model)
    assert list(read_pretrained(classifier("DEFAULT"), 32)) == ["weight", "bias"]


def test_the_weights_of_the_library_change_no_random_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "get_model", lambda *_, **__: nn.Linear(2, 2))  # draws its weights
    before = torch.get_rng_state()
    read_pretrained(classifier("DEFAULT"), 32)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_cannot_be_downloaded_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_model(name: str, weights: str) -> nn.Module:
        raise OSError("no route to host")

    monkeypatch.setattr(models, "get_model", get_model)
    with pytest.raises(SpecError, match="cannot be downloaded: no route to host; without internet"):
        read_pretrained(classifier("DEFAULT"), 32)


def test_weights_are_identified_by_their_content(tmp_path: Path) -> None:
    first = tmp_path / "a.pth"
    digest = write(first)
    second = tmp_path / "b.pth"
    second.write_bytes(first.read_bytes())
    assert pretrained_identity(classifier(first)) == digest
    assert pretrained_identity(classifier(second)) == digest
    assert pretrained_identity(classifier(second, weights_sha256=digest)) == digest
    write(first, {"other.weight": torch.zeros(1)})
    assert pretrained_identity(classifier(first)) != digest
    assert pretrained_identity(classifier("none")) == "none"
    assert "resnet18-" in pretrained_identity(classifier("DEFAULT"))
