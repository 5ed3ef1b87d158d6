from __future__ import annotations

import pytest
from support.fake_time import fake_time
from support.webhook import Webhook

from adaptune.errors import SpecError
from adaptune.tracking import webhook as webhook_module
from adaptune.tracking.webhook import post, webhook_address


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_time(monkeypatch, webhook_module, sleep=lambda _: None)


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", "https://chat/hooks/hunter2")
    assert webhook_address("CHAT") == "https://chat/hooks/hunter2"


@pytest.mark.parametrize(
    ("value", "fault"), [("", "is not set"), ("file:///etc/passwd", r"holds no http\(s\) address")]
)
def test_a_missing_or_strange_address_is_refused_without_naming_it(
    value: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT", value)
    with pytest.raises(SpecError, match=f"tracking.notify: .* CHAT {fault}") as raised:
        webhook_address("CHAT")
    assert "passwd" not in str(raised.value)


def test_a_message_is_posted_as_json(webhook: Webhook) -> None:
    post(webhook.address, {"text": "done", "figures": {"best": 0.5}})
    assert webhook.messages == [{"text": "done", "figures": {"best": 0.5}}]


def test_a_server_that_fails_is_asked_again(webhook: Webhook) -> None:
    webhook.failures = 2
    post(webhook.address, {"text": "done"})
    assert len(webhook.messages) == 1


def test_the_error_has_the_reason_but_not_the_address(webhook: Webhook) -> None:
    webhook.failures = 3
    with pytest.raises(OSError, match="the server answers 503") as raised:
        post(webhook.address, {"text": "done"})
    assert "hunter2" not in str(raised.value)
    with pytest.raises(OSError, match="URLError"):
        post("http://127.0.0.1:9/hunter2", {"text": "done"})
