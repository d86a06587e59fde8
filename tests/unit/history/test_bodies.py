"""A body in two parts is the message, byte for byte."""

import orjson
import pytest

from services.history.bodies import Body, join, split
from services.history.stored import read
from shared.events import InvalidEvent, Raw, parse
from tests.support.histories import Story, history


@pytest.mark.parametrize("seed", range(9))
def test_parts_put_together_are_the_message(seed: int) -> None:
    for event in history(seed):
        message = event.to_json()
        body = split(event, message)
        assert join(body) == message
        assert "raw" not in orjson.loads(body.essence)["data"]
        assert (body.raw is None) == (getattr(event.data, "raw", None) is None)


def test_the_essence_is_the_same_event_without_its_raw() -> None:
    event = history(1)[0]
    essence = parse(split(event, event.to_json()).essence.encode())
    assert essence == event.model_copy(update={"data": event.data.model_copy(update={"raw": None})})


@pytest.mark.parametrize("words", [b'","raw":{"x":"}}', b"\xff\x00\xfe", "zażółć".encode(), b"x" * 10_000, b""])
def test_whatever_a_provider_wrote_comes_back(words: bytes) -> None:
    story = Story("k")
    story.ring()
    event = story.events[0]
    event = event.model_copy(update={"data": event.data.model_copy(update={"raw": Raw.pack(words)})})
    message = event.to_json()
    body = split(event, message)
    assert join(body) == message
    assert body.raw is not None
    assert Raw.model_validate_json(body.raw).unpack() == words


def test_fields_of_a_later_version_are_kept_in_both_parts() -> None:
    message = orjson.loads(history(1)[0].to_json())
    message["later"] = [1]
    message["data"]["raw"]["later"] = "x"
    message["data"]["later"] = {"y": None}
    sent = orjson.dumps(message)
    body = split(parse(sent), sent)
    assert orjson.loads(join(body)) == message
    assert "later" in body.essence
    assert body.raw is not None
    assert "later" in body.raw


def test_an_event_without_raw_is_one_part() -> None:
    assert join(Body('{"data":{}}', None)) == b'{"data":{}}'


def test_what_is_not_about_a_call_is_refused() -> None:
    with pytest.raises(InvalidEvent):
        read(b"{}")
    card = {
        "specversion": "1.0",
        "id": "6f0a4a4e-5a0e-5c3c-9d0b-7c1f8e2b4d10",
        "source": "/notifier",
        "time": "2026-03-02T12:00:00Z",
        "receivedat": "2026-03-02T12:00:00Z",
        "account": 1,
        "subject": "6f0a4a4e-5a0e-5c3c-9d0b-7c1f8e2b4d10",
        "type": "card.claimed.v1",
        "data": {"user_id": 1},
    }
    with pytest.raises(InvalidEvent, match="not about a call"):
        read(orjson.dumps(card))
