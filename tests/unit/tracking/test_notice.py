from __future__ import annotations

import signal

import pytest
from support.fake_run import make_summary
from support.fake_search import make_search
from support.fake_time import fake_time
from support.webhook import Webhook

from adaptune.errors import InterruptedSearchError, SearchFailedError
from adaptune.tracking import webhook as webhook_module
from adaptune.tracking.notice import notified

SPEC = make_search(tracking={"notify": "CHAT"})


@pytest.fixture(autouse=True)
def chat(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", webhook.address)


def test_the_end_of_a_search_is_posted_with_its_verdict_and_figures(webhook: Webhook) -> None:
    with notified(SPEC) as notice:
        notice.summary = make_summary(target_val_accuracy=0.5)
        assert webhook.messages == []
    [message] = webhook.messages
    assert message["text"] == "fake finished: It helped."
    assert (message["search"], message["status"]) == ("fake", "finished")
    assert message["figures"]["target_val_accuracy"] == 0.5


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SearchFailedError("no disk"), "failed"),
        (InterruptedSearchError("kept", signal.SIGTERM), "stopped"),
    ],
)
def test_an_error_is_posted_and_raised(webhook: Webhook, error: Exception, status: str) -> None:
    with pytest.raises(type(error)), notified(SPEC):
        raise error
    [message] = webhook.messages
    assert message["status"] == status
    assert message["text"] == f"fake {status}: {type(error).__name__}: {error}"


def test_without_a_variable_nothing_is_posted(webhook: Webhook) -> None:
    with notified(make_search()) as notice:
        notice.summary = make_summary()
    assert webhook.messages == []


def test_a_notice_that_nobody_takes_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_time(monkeypatch, webhook_module, sleep=lambda _: None)
    monkeypatch.setenv("CHAT", "http://127.0.0.1:9/hunter2")
    with notified(SPEC) as notice:
        notice.summary = make_summary()
    error = capsys.readouterr().err
    assert error == "adaptune: the webhook in CHAT was not notified: URLError\n"
    monkeypatch.delenv("CHAT")  # while the search ran
    with notified(SPEC) as notice:
        notice.summary = make_summary()
    assert "CHAT is not set" in capsys.readouterr().err
