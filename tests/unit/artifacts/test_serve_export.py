"""The application for Ray Serve answers requests; Ray is not started."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from adaptune.artifacts import load_export, predict
from adaptune.artifacts.format import SERVE_FILE

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def ask(best: Path) -> Ask:
    """Sends a request to the application of an export; returns the status and the answer."""
    module_spec = importlib.util.spec_from_file_location("serve_export", best / SERVE_FILE)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray Serve about its own code
        module_spec.loader.exec_module(module)
    classifier = module.Classifier.func_or_class(str(best))

    def _ask(body: object = None, method: str = "POST") -> tuple[int, Any]:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": json.dumps(body).encode()}

        request = Request({"type": "http", "method": method, "headers": []}, receive)
        response = asyncio.run(classifier(request))
        return response.status_code, json.loads(response.body)

    return _ask


def encoded(*contents: bytes) -> dict[str, list[str]]:
    return {"images": [base64.b64encode(content).decode() for content in contents]}


def test_images_get_the_figures_of_predict(
    ask: Ask, best: Path, image: Callable[..., Path], tmp_path: Path
) -> None:
    files = [image(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    status, answer = ask(encoded(*(file.read_bytes() for file in files)))
    assert status == 200
    expected = predict(load_export(best), files)
    for given, prediction in zip(answer["predictions"], expected, strict=True):
        assert given["class"] == prediction.class_name
        assert given["probability"] == pytest.approx(prediction.probability, abs=1e-6)
        assert (given["calibrated_probability"], given["accepted"]) == (None, None)


def test_an_image_that_cannot_be_read_has_an_error_in_its_place(
    ask: Ask, image: Callable[..., Path], tmp_path: Path
) -> None:
    good = image(tmp_path / "a.png").read_bytes()
    status, answer = ask(encoded(b"no image", good))
    assert status == 200
    bad, prediction = answer["predictions"]
    assert "image 0 cannot be read as an image" in bad["error"]
    assert prediction["class"] in ("cat", "dog", "owl")


@pytest.mark.parametrize(
    "body", [None, {}, [], [1], {"images": 1}, {"images": [1]}, {"images": ["%"]}]
)
def test_a_request_of_another_form_is_refused(ask: Ask, body: object) -> None:
    status, answer = ask(body)
    assert status == 400
    assert "each the Base64 of an image file" in answer["error"]


def test_an_empty_request_and_the_names_of_the_classes(ask: Ask) -> None:
    assert ask({"images": []}) == (200, {"predictions": []})
    assert ask(method="GET") == (200, {"class_names": ["cat", "dog", "owl"]})
