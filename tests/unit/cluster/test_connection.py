from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import AuthenticationError

from adaptune.cluster import connection
from adaptune.cluster.connection import connect, secure_auth_token, token_hint
from adaptune.cluster.local_ray import NO_METRICS, local_node_address
from adaptune.errors import ResourceError
from adaptune.signals import STOP_SIGNALS, StopRequest, stop_on_signals
from adaptune.version import __version__

HINT = " (its token: ray get-auth-token)"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def no_signal_handlers() -> Iterator[None]:
    """Checks that no handler is left."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == before


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restores the variables that a connection sets."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def ray_calls(
    home: Path, environment: None, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, Any]]:
    """The calls of Ray, by their names."""
    calls: list[tuple[str, Any]] = []

    def init(**options: Any) -> SimpleNamespace:
        calls.append(("init", options))
        return SimpleNamespace(dashboard_url="127.0.0.1:8265")

    monkeypatch.setattr(connection.ray, "init", init)
    monkeypatch.setattr(
        connection.ray, "shutdown", lambda **options: calls.append(("shutdown", options))
    )
    monkeypatch.setattr(
        connection, "request_resources", lambda *, bundles: calls.append(("request", bundles))
    )
    monkeypatch.setattr(connection, "local_cpus", lambda: 6)
    return calls


def test_a_local_cluster_is_started_with_the_cpus_of_this_machine_and_shut_down(
    ray_calls: list[tuple[str, Any]],
) -> None:
    with connect(None, "digits") as dashboard:
        assert dashboard == "127.0.0.1:8265"
        [(_, options)] = ray_calls
    assert options["address"] == "local"
    assert options["num_cpus"] == 6
    assert options["dashboard_host"] == "127.0.0.1"  # not for others
    assert options["_node_ip_address"] == local_node_address()
    assert options["namespace"] == "adaptune-digits"
    metadata = {"adaptune": __version__, "search": "digits", "job_name": "digits"}
    assert options["job_config"].metadata == metadata
    assert options["runtime_env"]["env_vars"]["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] == "0"
    assert ray_calls[1:] == [("shutdown", {"wait_for_processes": True})]


def test_the_folder_of_a_local_cluster_is_private_and_goes_with_it(
    ray_calls: list[tuple[str, Any]],
) -> None:
    with connect(None, "digits"):
        folder = Path(ray_calls[0][1]["_temp_dir"]).parent
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


@pytest.mark.usefixtures("ray_calls")
def test_a_local_cluster_shows_no_metrics_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NO_METRICS:
        monkeypatch.delenv(name, raising=False)
    with connect("head:6379", "digits"):
        assert not NO_METRICS.keys() & os.environ.keys()
    collection = "RAY_enable_metrics_collection"
    monkeypatch.setenv(collection, "1")
    with connect(None, "digits"):
        assert os.environ[collection] == "1"
        assert os.environ["DASHBOARD_METRIC_PORT"] == "-1"


@pytest.mark.usefixtures("ray_calls")
def test_ray_leaves_the_handler_of_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> SimpleNamespace:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))  # as Ray does
        os.kill(os.getpid(), signal.SIGTERM)
        return SimpleNamespace(dashboard_url="")

    monkeypatch.setattr(connection.ray, "init", init)
    with pytest.raises(StopRequest), stop_on_signals(), connect(None, "digits"):
        pass


def test_a_connection_that_is_interrupted_is_shut_down(
    ray_calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(connection.ray, "init", init)
    with pytest.raises(KeyboardInterrupt), connect(None, "digits"):
        pass
    assert [name for name, _ in ray_calls] == ["shutdown"]


def test_a_signal_during_the_shutdown_waits_for_its_end(
    ray_calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shutdown(**_: Any) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        ray_calls.append(("ended", None))

    monkeypatch.setattr(connection.ray, "shutdown", shutdown)
    with pytest.raises(StopRequest), stop_on_signals(), connect(None, "digits"):
        pass
    assert ray_calls[-1] == ("ended", None)


def test_a_connection_to_a_cluster_withdraws_its_request_for_nodes(
    ray_calls: list[tuple[str, Any]],
) -> None:
    with connect("head:6379", "digits"):
        options = ray_calls[0][1]
    assert options["address"] == "head:6379"
    assert "num_cpus" not in options
    assert options["runtime_env"]["env_vars"]["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] == "1"
    assert [name for name, _ in ray_calls[1:]] == ["request", "shutdown"]


def test_a_connection_that_requests_no_nodes_leaves_the_requests_of_others(
    ray_calls: list[tuple[str, Any]],
) -> None:
    with connect("head:6379", "doctor", requests_nodes=False):
        pass
    assert [name for name, _ in ray_calls] == ["init", "shutdown"]


def test_a_cluster_that_is_gone_at_the_end_is_disconnected_from(
    ray_calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*, bundles: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(connection, "request_resources", unreachable)
    with pytest.raises(KeyError, match="of the search"), connect("head:6379", "digits"):
        raise KeyError("of the search")
    assert ray_calls[-1][0] == "shutdown"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ConnectionError("timed out"),
            r"no Ray cluster answers at head:6379: timed out\. .* set RAY_AUTH_MODE=token",
        ),
        (AuthenticationError("wrong"), "Ray refused the token: wrong"),
    ],
)
@pytest.mark.usefixtures("ray_calls")
def test_a_cluster_that_cannot_be_reached_is_refused(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_: Any) -> None:
        raise error

    monkeypatch.setattr(connection.ray, "init", init)
    with pytest.raises(ResourceError, match=message), connect("head:6379", "digits"):
        pass


def test_the_token_of_local_clusters_is_readable_by_its_user_only(home: Path) -> None:
    secure_auth_token()  # before Ray has made a token
    assert (home / ".ray").stat().st_mode & 0o777 == 0o700
    token = home / ".ray" / "auth_token"
    token.write_text("secret")
    token.chmod(0o644)
    secure_auth_token()
    assert token.stat().st_mode & 0o777 == 0o600


def test_a_missing_token_is_created_before_ray_would_write_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    before = os.umask(0)
    try:
        secure_auth_token(create=True)
    finally:
        os.umask(before)
    token = home / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    text = token.read_text()
    assert re.fullmatch("[0-9a-f]{64}", text)
    secure_auth_token(create=True)
    assert token.read_text() == text
    assert [path.name for path in token.parent.iterdir()] == ["auth_token"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAY_AUTH_MODE", "disabled"),
        ("RAY_AUTH_TOKEN", "secret"),
        ("RAY_AUTH_TOKEN_PATH", "/elsewhere"),
    ],
)
def test_no_token_is_created_that_ray_would_not_read(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for variable in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    secure_auth_token(create=True)
    assert not (home / ".ray" / "auth_token").exists()


def test_ray_reads_the_token_that_is_created(home: Path) -> None:
    script = (
        "from adaptune.cluster.connection import secure_auth_token\n"
        "secure_auth_token(create=True)\n"
        "from ray._raylet import AuthenticationTokenLoader\n"
        "print(AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True))"
    )
    unset = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    output = subprocess.check_output([sys.executable, "-c", script], text=True, env=environment)
    assert output == "True\n"


def test_a_token_file_that_is_missing_is_reported_to_the_user(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "gone"))
    script = "from adaptune.cluster.connection import connect\nwith connect(None, 'x'): pass"
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    last_line = process.stderr.splitlines()[-1]
    expected = "adaptune.errors.ResourceError: Ray refused the token: RAY_AUTH_TOKEN_PATH"
    assert last_line.startswith(expected)


@pytest.mark.parametrize(
    ("mode", "hint"), [("token", HINT), ("TOKEN", HINT), ("disabled", ""), (None, "")]
)
def test_the_hint_on_the_token_is_given_if_the_dashboard_asks_for_one(
    mode: str | None, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    assert token_hint() == hint


def test_ray_names_the_mode_in_the_environment_when_it_starts_a_local_cluster(home: Path) -> None:
    # What `ray.init(address="local")` calls first; a change of it would silence the hint.
    script = (
        "from ray._private.authentication import authentication_token_setup as setup\n"
        "from adaptune.cluster.connection import token_hint\n"
        "assert token_hint() == ''\n"
        "setup.enable_token_auth_by_default()\n"
        "print(token_hint())"
    )
    without_mode = {key: value for key, value in os.environ.items() if key != "RAY_AUTH_MODE"}
    output = subprocess.check_output(
        [sys.executable, "-c", script], text=True, env=without_mode, stderr=subprocess.DEVNULL
    )
    assert output == f"{HINT}\n"
