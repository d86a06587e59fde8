"""What a log line shows, and what it never does."""

import io
import json
import logging as standard
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shared import logging


class Lines:
    """The lines logged since the last look."""

    def __init__(self, level: str = "info") -> None:
        self._stream = io.BytesIO()
        logging.configure("test", level, self._stream)

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def text(self) -> str:
        return self._stream.getvalue().decode()


@pytest.fixture
def lines() -> Iterator[Lines]:
    handlers, level = standard.root.handlers[:], standard.root.level
    yield Lines()
    logging.unbind_all()
    structlog.reset_defaults()
    standard.root.handlers[:] = handlers
    standard.root.setLevel(level)


def test_a_line_carries_its_constant_event_and_what_is_bound(lines: Lines) -> None:
    logging.bind(request_id="r-1", call_id="c-1")

    structlog.get_logger().info("call_routed", rule="user", operators=2)

    [line] = lines.read()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call_routed",
        "level": "info",
        "service": "test",
        "request_id": "r-1",
        "call_id": "c-1",
        "rule": "user",
        "operators": 2,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"phone": 48220000101}, {"phone": "*********01"}),
        ({"numberA": "220000101"}, {"numberA": "*******01"}),
        ({"number_b": "+48220000900"}, {"number_b": "+48*******00"}),
        ({"body": {"deep": [{"did": "+48220000900"}]}}, {"body": {"deep": [{"did": "+48*******00"}]}}),
        ({"note": "called +48 22 000 01 01 twice"}, {"note": "called +48*******01 twice"}),
        ({"note": "sip:220000101@pbx:5060"}, {"note": "sip:*******01@pbx:5060"}),
        ({"note": b"phone=%2B48220000101&x=1"}, {"note": "phone=+48*******01&x=1"}),
        ({"at": "2026-03-02T10:15:04.123456+00:00"}, {"at": "2026-03-02T10:15:04.123456+00:00"}),
        ({"day": "2026-03-02 10:15:04"}, {"day": "2026-03-02 10:15:04"}),
        ({"host": "192.168.100.200"}, {"host": "192.168.100.200"}),
        ({"n": 5000000000, "ok": True, "none": None}, {"n": 5000000000, "ok": True, "none": None}),
        (
            {"request_id": "12345678-1234-4123-8123-123456789012", "other": "12345678-1234-4123-8123-123456789012"},
            {"request_id": "12345678-1234-4123-8123-123456789012", "other": "12345678-1234-4123-8123-123456789012"},
        ),
    ],
)
def test_phone_numbers_are_masked_at_any_depth(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert logging.clean(given) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"api_token": "hunter2"},
        {"query": {"account": "1", "signature": "hunter2"}},
        {"text": "GET /api/v1/calls/x/recording?account=1&signature=hunter2 failed"},
        {"headers": {"Authorization": "Bearer hunter2"}},
        {"Crm-Token": "hunter2", "crmToken": "hunter2"},
        {"url": "amqp://user:hun@ter2:hunter2@localhost/"},
        {"text": "GET /voip/calls.json?page=1&api_token=hunter2 failed"},
        {"text": "Authorization: bearer hunter2, x"},
        {"path": "/hooks/supervoip/hunter2"},
        {"path": "/hooks/voipnow/hunter2/dial-in?a=b"},
        {"path": "/api/v2/telephony/calls/@hunter2/"},
        {"path": "/api/v2/telephony/calls/%40hunter2"},
    ],
)
def test_secrets_are_dropped(value: dict[str, Any]) -> None:
    assert "hunter2" not in str(logging.clean(value))


def test_the_id_of_a_request_is_no_secret() -> None:
    assert logging.mask_text("/hooks/requests/abcdef") == "/hooks/requests/abcdef"


def test_an_exception_is_shown_without_its_local_variables(lines: Lines) -> None:
    def fail(local: str) -> None:
        raise ValueError("no such number: +48220000101")

    try:
        fail("hunter2")
    except ValueError:
        structlog.get_logger().exception("it_failed")

    assert "ValueError" in lines.text()
    assert "no such number: +48*******01" in lines.text()
    assert "hunter2" not in lines.text()


def test_what_libraries_log_is_json_and_masked_too(lines: Lines) -> None:
    standard.getLogger("asyncpg").warning("could not connect to %s", "postgresql://someone:hunter2@127.0.0.1/x")

    [line] = lines.read()
    assert (line["logger"], line["level"], line["service"]) == ("asyncpg", "warning", "test")
    assert "hunter2" not in lines.text()


def test_configuring_twice_does_not_double_the_lines(lines: Lines) -> None:
    again = Lines("warning")

    structlog.get_logger().info("too_quiet")
    standard.getLogger("x").warning("loud")

    assert [line["event"] for line in again.read()] == ["loud"]
    assert lines.read() == []
    assert not logging.enabled("info")


def test_a_line_that_is_no_json_is_still_written(lines: Lines) -> None:
    structlog.get_logger().info("odd", value="\ud800", big=2**80, key={1: object()})

    [line] = lines.read()
    assert "odd" in line["event"]


@given(st.recursive(st.none() | st.integers() | st.text() | st.binary(), lambda x: st.dictionaries(st.text(), x)))
def test_cleaning_is_never_an_error(value: Any) -> None:
    logging.clean(value, "anything")


def test_a_stream_that_takes_nothing_fails_nobody(lines: Lines) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        logging.configure("test", "info", full)
        structlog.get_logger().error("disk_full")
        standard.getLogger("library").error("so says a library")
