"""A dead letter keeps the message as it was, and says why it died."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.bus.backoff import Backoff
from shared.bus.deadletter import dead_letter, dead_message, original_address, replay_message
from shared.bus.messages import Delivery

DELIVERY = Delivery(b"{", "id", "call.ringing.v1.07", True, 4, {"x-delivery-count": 4, "kept": "yes"}, "calls", "t", 1)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def die(error: Exception) -> tuple[Any, dict[str, Any]]:
    message = dead_message(DELIVERY, "history.dead", "history.calls", reason="permanent", error=error, now=NOW)
    return message, dict(message.headers or {})


def test_it_goes_to_the_dead_queue_with_body_and_id_unchanged() -> None:
    message, _headers = die(ValueError("no"))
    assert (message.exchange, message.routing_key) == ("", "history.dead")
    assert (message.body, message.message_id, message.content_type) == (b"{", "id", "t")


def test_its_headers_say_why_whence_and_when() -> None:
    _message, headers = die(ValueError("no"))
    assert headers == {
        "kept": "yes",
        "x-callbus-reason": "permanent",
        "x-callbus-error": "ValueError: no",
        "x-callbus-source-queue": "history.calls",
        "x-callbus-delivery-count": 4,
        "x-callbus-dead-at": "2026-01-02T03:04:05.000+00:00",
        "x-callbus-exchange": "calls",
        "x-callbus-routing-key": "call.ringing.v1.07",
    }
    letter = dead_letter("id", b"{", "t", headers)
    assert (letter.reason, letter.source_queue, letter.routing_key, letter.size) == (
        "permanent",
        "history.calls",
        "call.ringing.v1.07",
        1,
    )


def test_long_errors_are_cut() -> None:
    assert len(die(ValueError("x" * 5000))[1]["x-callbus-error"]) == 1000


def test_headers_that_would_not_fit_a_frame_are_left_out() -> None:
    monstrous = DELIVERY._replace(headers={"kept": "yes", "mine": "x" * 130_000})
    message = dead_message(monstrous, "history.dead", "q", reason="r", error=ValueError(), now=NOW)
    assert "mine" not in (message.headers or {})
    assert (message.headers or {})["kept"] == "yes"


def test_replayed_it_goes_to_its_queue_and_is_known_by_its_first_address() -> None:
    _message, headers = die(ValueError("no"))
    again = replay_message("id", b"{", "t", {**headers, "x-delivery-count": 3})
    assert (again.exchange, again.routing_key, again.message_id) == ("", "history.calls", "id")
    assert "x-delivery-count" not in (again.headers or {})
    assert original_address("", "history.calls", again.headers or {}) == ("calls", "call.ringing.v1.07")
    assert original_address("calls", "k", {}) == ("calls", "k")


def test_waits_double_to_the_cap_within_their_upper_half() -> None:
    longest, shortest = Backoff(1.0, 5.0, lambda: 1.0), Backoff(1.0, 5.0, lambda: 0.0)
    assert [longest.next() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert [shortest.next() for _ in range(4)] == [0.5, 1.0, 2.0, 2.5]
    longest.reset()
    assert longest.next() == 1.0
