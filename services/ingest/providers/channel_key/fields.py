"""From what a request says, in whatever dress, to its fields in one form: the same words are always the same fields."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from services.ingest.bodies import Fields, Parsed, clean, fields_of
from services.ingest.credentials import CREDENTIALS
from services.ingest.errors import Incomplete, TooMuch, WrongField

FILE: Final = "audio_record"
LISTS: Final = frozenset({"user_ids", "group_ids", "pbx_user_ids"})
SINGLES: Final = frozenset(
    {"action", "direction", "phone", "call_status", "call_id", "pbx_call_id", "user_id", "pbx_user_id", "comment"}
)
MAX_ITEMS: Final = 400

_LIST_NAME = re.compile(r"(\w{1,100})\[\d{0,6}\]")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def canonical(pairs: Iterable[tuple[str, Any]]) -> Parsed:
    """Return the fields that `pairs` say: lists as JSON arrays of text, all else as text, what is empty left out.

    A list is `name[]`, `name[0]` or `name`, any number of times, each one value or (in JSON) several. Raises
    `Incomplete` for what can't be what it should, and `TooMuch`.
    """
    lists: dict[str, list[str]] = {}
    others: list[tuple[str, Any]] = []
    wrong: list[WrongField] = []
    for name, value in pairs:
        name = _base_name(name)
        if value in _EMPTY:
            continue
        if name in LISTS:
            items = _items(value)
            if items is None:
                wrong.append(WrongField(name, "is a list of numbers or text"))
            else:
                lists.setdefault(name, []).extend(items)
        elif name == FILE:
            wrong.append(WrongField(name, "is a file: send it in multipart/form-data"))
        elif name in SINGLES and isinstance(value, list | dict):
            wrong.append(WrongField(name, "is one value"))
        else:
            others.append((name, value))
    wrong += [WrongField(name, "is given twice, with different values") for name in _contradictions(others)]
    if wrong:
        raise Incomplete(wrong)
    return _public(fields_of([*others, *_bounded(lists)]))


def _base_name(name: str) -> str:
    name = name.strip().lower()
    found = _LIST_NAME.fullmatch(name)
    return found[1] if found and found[1] in LISTS else name


def _items(value: Any) -> list[str] | None:
    """Return the items of one value of a list, empty ones left out; None where some are neither number nor text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            return None
    items = value if isinstance(value, list) else [value]
    if not all(item is None or (isinstance(item, str | int | float) and not isinstance(item, bool)) for item in items):
        return None
    texts = ("" if item is None else clean(str(item)).strip() for item in items)
    return [text for text in texts if text]


def _contradictions(pairs: Iterable[tuple[str, Any]]) -> list[str]:
    said: dict[str, str] = {}
    return [name for name, value in pairs if name in SINGLES and said.setdefault(name, str(value)) != str(value)]


def _bounded(lists: dict[str, list[str]]) -> Iterable[tuple[str, list[str]]]:
    for name, items in lists.items():
        if len(items) > MAX_ITEMS:
            raise TooMuch(f"more than {MAX_ITEMS} {name}")
        if items:
            yield name, items


def _public(fields: Fields) -> Parsed:
    credentials = tuple(fields[name] for name in CREDENTIALS & fields.keys())
    return Parsed({name: value for name, value in fields.items() if name not in CREDENTIALS}, credentials)
