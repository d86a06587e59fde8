"""An event's body in two parts: what a call is folded from, and the provider's own words.

Folding reads the first part of many events again and again and never the second, which is usually the larger. So they
are kept apart and nothing is kept twice; put together they are the message as it was published.
"""

from typing import NamedTuple

import orjson

from shared.events import Event, Raw

_HEAD, _TAIL = b',"raw":', b"}}"
"""`raw` is the last field of `data`, and `data` the last of the envelope."""


class Body(NamedTuple):
    """JSON text; `raw` is None where the event carries none."""

    essence: str
    raw: str | None


def split(event: Event, body: bytes) -> Body:
    """Return the parts of `body`, which is `event` as it was published."""
    raw = getattr(event.data, "raw", None)
    if not isinstance(raw, Raw):
        return Body(body.decode(), None)
    words = raw.__pydantic_serializer__.to_json(raw, exclude_none=True, by_alias=True)
    end = _HEAD + words + _TAIL
    if body.endswith(end):
        return Body(body[: -len(end)].decode() + "}}", words.decode())
    # Published by another hand, or with fields that this code does not know: the same values, in our spelling.
    whole = orjson.loads(body)
    data = whole.pop("data")
    words = orjson.dumps(data.pop("raw"))
    whole["data"] = data  # last, as `join` expects
    return Body(orjson.dumps(whole).decode(), words.decode())


def join(body: Body) -> bytes:
    """Return the message's body as it was published, byte for byte where a service of ours published it."""
    if body.raw is None:
        return body.essence.encode()
    return body.essence.encode()[: -len(_TAIL)] + _HEAD + body.raw.encode() + _TAIL
