"""How entries stand in a file of the journal. Pure.

    mark              4 bytes; the first is one that no text in UTF-8 has
    length            4: of the payload
    checksum          4: CRC-32 of the payload
    head's checksum   4: CRC-32 of the twelve bytes before it, so that a damaged length is not believed
    payload

Numbers are big-endian. A payload is a message (kind 0: three lengths of 2 bytes, then exchange, routing key, message id
and body; all else of a message is as `Message` has it by itself) or something deferred (kind 1: one length, then its
name and body).
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from shared.bus import Message

MARK: Final = b"\xffcbj"
"""Where an entry may begin, for whoever looks for the next one behind what can't be read."""

_CHECKED: Final = struct.Struct(">4sII")
_CHECKSUM: Final = struct.Struct(">I")
HEAD_BYTES: Final = _CHECKED.size + _CHECKSUM.size

_MESSAGE: Final = struct.Struct(">BHHH")
_DEFERRED: Final = struct.Struct(">BH")


class Deferred(NamedTuple):
    """Work that is done when it is forwarded: `name` says who knows how, `body` is for him."""

    name: str
    body: bytes


class Foreign(NamedTuple):
    """What another release wrote: it is whole, and we can't say what it is."""

    payload: bytes


Entry = Message | Deferred | Foreign


class Head(NamedTuple):
    """What comes before a payload."""

    length: int
    checksum: int


def pack(entries: Sequence[Entry]) -> bytes:
    """Return `entries` as they stand in a file."""
    packed = []
    for entry in entries:
        payload = _payload(entry)
        checked = _CHECKED.pack(MARK, len(payload), zlib.crc32(payload))
        packed += [checked, _CHECKSUM.pack(zlib.crc32(checked)), payload]
    return b"".join(packed)


def read_head(data: bytes, start: int = 0) -> Head | None:
    """Return the head at `start`; None where there is none, or it is damaged."""
    if len(data) - start < HEAD_BYTES:
        return None
    mark, length, checksum = _CHECKED.unpack_from(data, start)
    (own,) = _CHECKSUM.unpack_from(data, start + _CHECKED.size)
    if mark != MARK or own != zlib.crc32(data[start : start + _CHECKED.size]):
        return None
    return Head(length, checksum)


def unpack(data: bytes) -> Iterator[tuple[Entry, int]]:
    """Yield the whole and sound entries that `data` begins with, each with its end."""
    start = 0
    while (head := read_head(data, start)) is not None:
        start += HEAD_BYTES
        payload = data[start : start + head.length]
        if len(payload) < head.length or zlib.crc32(payload) != head.checksum:
            return
        start += head.length
        yield _entry(payload), start


def _payload(entry: Entry) -> bytes:
    if isinstance(entry, Foreign):
        return entry.payload
    if isinstance(entry, Deferred):
        name = entry.name.encode()
        return _DEFERRED.pack(1, len(name)) + name + entry.body
    parts = [text.encode() for text in (entry.exchange, entry.routing_key, entry.message_id)]
    return _MESSAGE.pack(0, *map(len, parts)) + b"".join(parts) + entry.body


def _entry(payload: bytes) -> Entry:
    try:
        if payload[:1] == b"\0":
            _, *lengths = _MESSAGE.unpack_from(payload)
            (exchange, routing_key, message_id), body = _texts(payload, _MESSAGE.size, lengths)
            return Message(exchange, routing_key, body, message_id)
        if payload[:1] == b"\1":
            _, *lengths = _DEFERRED.unpack_from(payload)
            (name,), body = _texts(payload, _DEFERRED.size, lengths)
            return Deferred(name, body)
    except (struct.error, ValueError):
        pass
    return Foreign(payload)


def _texts(payload: bytes, start: int, lengths: Sequence[int]) -> tuple[list[str], bytes]:
    """Return the texts of these lengths, and what is behind them. Raises `ValueError`."""
    texts = []
    for length in lengths:
        texts.append(payload[start : start + length].decode())
        start += length
    if start > len(payload):
        raise ValueError("it is shorter than it says")
    return texts, payload[start:]
