"""The three hot AMQP 0-9-1 frames, encoded by struct: pamqp's objects cost several times as much.

Everything else is left to pamqp, which also checks these in tests/unit/bus.
Source: AMQP 0-9-1 specification, 2.3.5 (frames), 4.2.5.2 (content header); method numbers from its section 1.
"""

import struct
from collections.abc import Iterable

from pamqp.encode import field_table

from shared.bus.messages import Message

_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"
_FRAME = struct.Struct(">BHI")
_PUBLISH = struct.Struct(">HHH")  # class 60, method 40, reserved
_CONTENT = struct.Struct(">HHQH")  # class 60, weight 0, body size, property flags
_ACK = struct.Struct(">BHIHHQBB")  # frame header, class 60, method 80, tag, multiple, end
_FRAME_OVERHEAD = 8

_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _MESSAGE_ID = 1 << 15, 1 << 13, 1 << 12, 1 << 7
_PERSISTENT = b"\x02"
_MANDATORY = b"\x01"


def _short(text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise ValueError(f"longer than 255 bytes: {text[:40]}…")
    return bytes((len(data),)) + data


def encode_publish(channel: int, message: Message, frame_max: int) -> bytes:
    """Return basic.publish (persistent, mandatory), its header and its body in frames of at most `frame_max` bytes.

    Raises `ValueError` when exchange, routing key, id or content type exceed 255 bytes.
    """
    method = _PUBLISH.pack(60, 40, 0) + _short(message.exchange) + _short(message.routing_key) + _MANDATORY
    flags = _CONTENT_TYPE | _DELIVERY_MODE | _MESSAGE_ID
    table = b""
    if message.headers:
        flags |= _HEADERS
        table = field_table(dict(message.headers))
    body = message.body
    header = b"".join(
        (
            _CONTENT.pack(60, 0, len(body), flags),
            _short(message.content_type),
            table,
            _PERSISTENT,
            _short(message.message_id),
        )
    )
    parts = [_FRAME.pack(_METHOD, channel, len(method)), method, _END]
    parts += (_FRAME.pack(_HEADER, channel, len(header)), header, _END)
    # A frame_max of 0 means that the broker sets no limit.
    step = frame_max - _FRAME_OVERHEAD if frame_max else len(body)
    for start in range(0, len(body), step or 1):
        chunk = body[start : start + step]
        parts += (_FRAME.pack(_BODY, channel, len(chunk)), chunk, _END)
    return b"".join(parts)


def encode_acks(channel: int, acks: Iterable[tuple[int, bool]]) -> bytes:
    """Return one basic.ack per (delivery tag, multiple)."""
    return b"".join(_ACK.pack(_METHOD, channel, 13, 60, 80, tag, multiple, 0xCE) for tag, multiple in acks)
