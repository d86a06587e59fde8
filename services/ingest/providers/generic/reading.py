"""A request's values under our names, by the channel's mapping. Pure."""

import json
import re
from collections.abc import Mapping as AnyMapping
from typing import Any, Final, NamedTuple

from services.ingest.bodies import Fields, clean
from services.ingest.errors import Misconfigured
from shared.directory import Channel
from shared.mapping import InvalidMapping, Mapping, normal_word

_REMEMBERED: Final = 1000
LISTS: Final = ("user_ids", "group_ids", "pbx_user_ids")
"""Our fields that hold several values."""

OWN_NAMES: Final = Mapping.read(
    {
        "fields": {
            "event": "event",
            "call": ["call", "call.id", "call_id", "call_key"],
            "leg": "leg",
            "direction": "direction",
            "from": ["from", "from.raw", "from.number", "from.e164"],
            "from_name": ["from_name", "from.name"],
            "to": ["to", "to.raw", "to.number", "to.e164"],
            "to_name": ["to_name", "to.name"],
            "did": ["did", "did.raw", "did.number", "did.e164"],
            "queue": "queue",
            "user": "user",
            "user_ids": "user_ids",
            "group_ids": "group_ids",
            "pbx_user_ids": "pbx_user_ids",
            "outcome": "outcome",
            "cause": "cause",
            "authority": "authority",
            "duration_seconds": "duration_seconds",
            "talk_seconds": "talk_seconds",
            "recording": ["recording", "recording.url"],
            "comment": "comment",
            "client_id": "client_id",
            "contact_id": "contact_id",
            "external_id": "external_id",
            "time": "time",
            "started_at": "started_at",
        }
    }
)
"""What a channel without a mapping is read by: the names of `CallData`."""

# Ours, for mappings without a table.
_OWN_WORDS: Final[AnyMapping[str, AnyMapping[str, str]]] = {
    "event": {word: word for word in ("ringing", "answered", "ended", "noted")},
    "direction": {
        **{word: word for word in ("incoming", "outgoing", "internal")},
        "in": "incoming",
        "out": "outgoing",
    },
    "outcome": {word: word for word in ("answered", "busy", "missed", "canceled", "failed", "unknown")},
    "authority": {"live": "live", "record": "record"},
}


class _Place(NamedTuple):
    """One name under which a value may come."""

    flat: tuple[str, ...]
    """How it is written where it is not nested: `call.id`, `call[id]`."""
    outer: str
    """The field that it is nested in."""
    path: tuple[str, ...]
    """The way to it from there; empty where it is not nested."""
    entry: re.Pattern[str] | None
    """How a form names an entry of a list: `ids[]`, `ids[0]`; None where no list is expected."""


class Reader:
    """Reads requests by one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        named = mapping.fields.model_dump(by_alias=True, exclude_none=True)
        self._places = {ours: tuple(_place(name, ours in LISTS) for name in names) for ours, names in named.items()}
        self._theirs: dict[str, str] = {ours: names[0] for ours, names in named.items()}
        self._words: dict[str, AnyMapping[str, str]] = {**_OWN_WORDS, **mapping.words.model_dump(exclude_none=True)}
        self._defaults: dict[str, str] = mapping.defaults.model_dump(by_alias=True, exclude_none=True)

    def read(self, fields: Fields) -> "Sent":
        """Return what `fields` say."""
        return Sent(self, fields)

    def their(self, name: str) -> str:
        """Return how the sender calls our field `name`."""
        return self._theirs.get(name, name)

    def places(self, name: str) -> tuple[_Place, ...]:
        """Return where our field `name` may stand."""
        return self._places.get(name, ())

    def meaning(self, name: str, word: str) -> str | None:
        """Return our word for a word of the sender's in field `name`; None where it is not known."""
        return self._words[name].get(normal_word(word))

    def default(self, name: str) -> str:
        """Return what counts where our field `name` is not sent; "" where nothing does."""
        return self._defaults.get(name, "")


class Sent:
    """One request, asked by our names. `odd` gathers the names, as the sender calls them, of what can't be used."""

    def __init__(self, reader: Reader, fields: Fields) -> None:
        self._reader = reader
        self._fields = fields
        self._nested: dict[str, Any] = {}
        self.odd: list[str] = []

    def text(self, name: str) -> str:
        """Return the first text, number or truth value there is under our field `name`; its default, or ""."""
        return self.written(name).strip()

    def written(self, name: str) -> str:
        """Return the same with the spaces around it: one in front of a number was a "+"."""
        return self._sent(name) or self._reader.default(name)

    def items(self, name: str) -> list[str] | None:
        """Return the list under our field `name`: JSON, or text with commas between; None where there is none."""
        for value in self._values(name):
            return [_shown(item).strip() for item in _items(value)]
        return None

    def word(self, name: str) -> tuple[str, str | None]:
        """Return the word in our field `name` ("" where there is none), and ours for it (None = not known)."""
        word = self._sent(name)
        if word:
            return word.strip(), self._reader.meaning(name, word)
        default = self._reader.default(name)
        return default, default or None

    def note_odd(self, name: str) -> None:
        """Flag our field `name`."""
        theirs = self._reader.their(name)
        if theirs not in self.odd:
            self.odd.append(theirs)

    def _sent(self, name: str) -> str:
        """A list or an object where a text is expected is passed over, and odd unless it is empty."""
        values = self._values(name)
        text = next((value for value in values if isinstance(value, str)), "")
        if any(values) and not text:
            self.note_odd(name)
        return text

    def _values(self, name: str) -> list[Any]:
        """What there is under our field `name`, surest first."""
        found = (value for place in self._reader.places(name) for value in self._at(place))
        return [value for value in found if _is_told(value)]

    def _at(self, place: _Place) -> list[Any]:
        values = [self._value(name) for name in place.flat if name in self._fields]
        if place.entry is not None:
            entries = [self._value(name) for name in self._fields if name[-1:] == "]" and place.entry.fullmatch(name)]
            told = [entry for entry in entries if _is_told(entry)]
            values.append([item for entry in told for item in _items(entry)] if told else None)
        if place.path and place.outer in self._fields:
            values.append(_inside(self._value(place.outer), place.path))
        return values

    def _value(self, name: str) -> Any:
        """Return a field's value: what it nests where it is JSON, else its text."""
        text = self._fields[name]
        if text[:1] not in ("{", "["):
            return text
        if name not in self._nested:
            self._nested[name] = _json(text)
        return self._nested[name]


def _place(name: str, is_list: bool) -> _Place:
    outer, *path = name.strip().lower().split(".")
    flat = [".".join([outer, *path])]
    if path:
        flat.append(outer + "".join(f"[{step}]" for step in path))
    entry = re.compile(rf"(?:{'|'.join(map(re.escape, flat))})\[\d{{0,6}}\]") if is_list else None
    return _Place(tuple(flat), outer, tuple(path), entry)


def _json(text: str) -> Any:
    """Return the list or object that `text` is, numbers as they were written; else the text itself."""
    try:
        value = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    return value


def _items(value: Any) -> list[Any]:
    """Return what a list holds; a text is one with commas between."""
    if isinstance(value, list):
        return value
    return value.split(",") if isinstance(value, str) else [value]


def _is_told(value: Any) -> bool:
    """Whether it is neither null nor blank."""
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


def _inside(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(value, list):
            value = value[int(step)] if step.isdecimal() and int(step) < len(value) else None
        elif isinstance(value, dict):
            value = next((item for name, item in value.items() if name.strip().lower() == step), None)
        else:
            return None
    return _shown(value) if value is not None and not isinstance(value, dict | list) else value


def _shown(value: Any) -> str:
    """Return a JSON value as text; "" for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return clean(value) if isinstance(value, str) else ""


_readers: dict[int, tuple[AnyMapping[str, Any], Reader | InvalidMapping]] = {}
_own_reader: Final = Reader(OWN_NAMES)


def reader_of(channel: Channel) -> Reader:
    """Return the reader of `channel`. Raises `Misconfigured` where its mapping can't be used.

    A mapping is checked when it is first met, and again only when the directory brings another.
    """
    if channel.mapping is None:
        return _own_reader
    known = _readers.get(channel.id)
    if known is None or known[0] is not channel.mapping:
        # Every reload of the directory brings new objects, which are mostly equal to the old ones.
        made = known[1] if known is not None and known[0] == channel.mapping else _made(channel.mapping)
        known = (channel.mapping, made)
        if len(_readers) >= _REMEMBERED and channel.id not in _readers:
            del _readers[next(iter(_readers))]
        _readers[channel.id] = known
    if isinstance(known[1], InvalidMapping):
        raise Misconfigured(f"the mapping of this channel can't be used: {known[1]}")
    return known[1]


def _made(mapping: AnyMapping[str, Any]) -> Reader | InvalidMapping:
    try:
        return Reader(Mapping.read(mapping))
    except InvalidMapping as error:
        return error
