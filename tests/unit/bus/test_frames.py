"""Our encoding of the hot frames is what the client library reads back."""

from __future__ import annotations

from typing import Any

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from shared.bus.frames import encode_acks, encode_publish
from shared.bus.messages import Message

short = st.text(max_size=60).filter(lambda text: len(text.encode()) <= 255)
# AMQP gives a field table's names 128 characters; a string of 32 bits' length follows them.
headers = st.none() | st.dictionaries(
    st.text("abcdefgh-", min_size=1, max_size=20), st.text(max_size=50) | st.integers(-(2**31), 2**31 - 1), max_size=5
)
messages = st.builds(Message, short, short, st.binary(max_size=300), short, short, headers)


def decoded(data: bytes) -> list[object]:
    frames: list[object] = []
    while data:
        size, channel, frame = pamqp.frame.unmarshal(data)
        assert channel == 3
        frames.append(frame)
        data = data[size:]
    return frames


@given(messages, st.sampled_from([0, 16, 64, 131072]))
def test_publish_reads_back_as_it_was_meant(message: Message, frame_max: int) -> None:
    method, header, *body = decoded(encode_publish(3, message, frame_max))
    assert isinstance(method, spec.Basic.Publish)
    assert (method.exchange, method.routing_key, method.mandatory, method.immediate) == (
        message.exchange,
        message.routing_key,
        True,
        False,
    )
    assert isinstance(header, ContentHeader)
    properties = header.properties
    assert header.body_size == len(message.body)
    assert (properties.message_id, properties.content_type) == (message.message_id, message.content_type)
    assert properties.delivery_mode == 2
    assert (properties.headers or {}) == dict(message.headers or {})
    parts = [part.value for part in body if isinstance(part, ContentBody)]
    assert len(parts) == len(body)
    assert b"".join(parts) == message.body
    assert all(0 < len(part) <= (frame_max or 2**32) - 8 for part in parts)


@pytest.mark.parametrize("field", ["exchange", "routing_key", "message_id", "content_type"])
def test_field_longer_than_amqp_allows_is_refused(field: str) -> None:
    fields: dict[str, Any] = {"exchange": "calls", "routing_key": "k", "message_id": "id", "content_type": "t"}
    message = Message(body=b"", **{**fields, field: "é" * 128})
    with pytest.raises(ValueError, match="longer than 255 bytes"):
        encode_publish(3, message, 131072)


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.booleans()), max_size=5))
def test_acks_read_back_as_they_were_meant(acks: list[tuple[int, bool]]) -> None:
    frames = [frame for frame in decoded(encode_acks(3, acks)) if isinstance(frame, spec.Basic.Ack)]
    assert [(frame.delivery_tag, frame.multiple) for frame in frames] == acks
