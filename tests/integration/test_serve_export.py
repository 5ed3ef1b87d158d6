"""The application of an export answers as `predict` does, on a real Ray Serve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.image_search import make_killed_search, write_space
from support.ports import reserved_ports
from support.ray_nodes import stopped_cleanly
from support.real_ray import ENVIRONMENT, SEARCH_TIMEOUT_S

from adaptune.artifacts import load_export, predict
from adaptune.workflows.export import export_trial

REQUESTS = 200
# The client is in the process of the driver, which ends Ray when it is done.
CLIENT = """
import base64, json, sys, urllib.error, urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ray
from ray import serve

import serve_export

port, requests, *files = sys.argv[1:]
url = f"http://127.0.0.1:{port}/"


def post(body):
    request = urllib.request.Request(url, json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 1024**2)
serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
serve.run(serve_export.app)
images = [base64.b64encode(Path(file).read_bytes()).decode() for file in files]
with ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(post, [{"images": images}] * int(requests)))
bad = base64.b64encode(b"no image").decode()
refusals = [post(body) for body in ({}, [1], {"images": ["%"]}, {"images": [bad]})]
with urllib.request.urlopen(url, timeout=60) as answer:
    class_names = json.load(answer)["class_names"]
serve.shutdown()
ray.shutdown()
Path("answers.json").write_text(json.dumps([answers, refusals, class_names]))
"""


@pytest.mark.ray
def test_200_requests_of_8_images_are_answered_with_the_figures_of_predict(tmp_path: Path) -> None:
    export = export_trial(make_killed_search(write_space(tmp_path)).path).folder
    files = sorted((tmp_path / "target" / "cat").iterdir())
    assert len(files) == 8
    with stopped_cleanly(), reserved_ports() as ports:
        command = [sys.executable, "-c", CLIENT, str(ports[0]), str(REQUESTS), *map(str, files)]
        process = subprocess.run(
            command,
            cwd=export,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=SEARCH_TIMEOUT_S,
            check=False,
        )
    assert process.returncode == 0, process.stdout + process.stderr
    answers, refusals, class_names = json.loads((export / "answers.json").read_text())
    assert len(answers) == REQUESTS
    expected = list(predict(load_export(export), files))
    for status, answer in answers:
        assert status == 200
        for given, prediction in zip(answer["predictions"], expected, strict=True):
            assert given["class"] == prediction.class_name
            assert given["probability"] == pytest.approx(prediction.probability, abs=1e-6)
            assert given["calibrated_probability"] is None
    assert [status for status, _ in refusals] == [400, 400, 400, 200]
    assert "Base64" in refusals[0][1]["error"]
    assert "cannot be read as an image" in refusals[3][1]["predictions"][0]["error"]
    assert class_names == ["cat", "dog"]
