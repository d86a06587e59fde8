"""What is asked for: to create a call, or to update one. Every rule of the API that needs nothing but the request."""

import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from services.ingest.bodies import Fields
from services.ingest.errors import Incomplete, WrongField
from shared.events import Direction, Outcome

RINGING: Final = "ringing"
IN_PROGRESS: Final = "in-progress"
OUTCOMES: Final[Mapping[str, Outcome]] = {
    "canceled": Outcome.CANCELED,
    "missed": Outcome.MISSED,
    "failed": Outcome.FAILED,
    "answered": Outcome.ANSWERED,
    "busy": Outcome.BUSY,
}
"""The statuses that end a call."""
STATUSES: Final = (RINGING, IN_PROGRESS, *OUTCOMES)

_DIRECTIONS: Final[Mapping[str, Direction]] = {
    "incoming": Direction.INCOMING,
    "outgoing": Direction.OUTGOING,
    "in": Direction.INCOMING,
    "out": Direction.OUTGOING,
}
_LONGEST_ID: Final = 255
# Who knows one kind of number alone writes 4101 as 4101.0 in JSON.
_NUMBER = re.compile(r"(\d{1,18})(?:\.0{1,9})?", re.ASCII)
_CALL_NUMBER = re.compile(r"(\d{1,40})(?:\.0{1,9})?", re.ASCII)


class Create(NamedTuple):
    """`create_call`; lists that were not given are empty."""

    direction: Direction
    phone: str
    status: str
    pbx_call_id: str | None
    user_ids: tuple[int, ...]
    group_ids: tuple[int, ...]
    pbx_user_ids: tuple[str, ...]
    comment: str | None


class Update(NamedTuple):
    """`update_call` of the call that either `call_id` or `pbx_call_id` names."""

    call_id: int | None
    pbx_call_id: str | None
    status: str
    user_id: int | None
    pbx_user_id: str | None
    comment: str | None


def read(fields: Fields) -> Create | Update:
    """Return what `fields`, in their one form, ask for. Raises `Incomplete` with everything that is wrong."""
    action = fields.get("action", "").strip().lower()
    form = _Form(fields)
    if action == "create_call":
        asked: Create | Update = _create(form)
    elif action == "update_call":
        asked = _update(form)
    else:
        raise Incomplete([WrongField("action", "is create_call or update_call" if action else "is required")])
    if form.wrong:
        raise Incomplete(form.wrong)
    return asked


def _create(form: "_Form") -> Create:
    form.at_most_one_of("user_ids", "group_ids", "pbx_user_ids")
    return Create(
        direction=form.direction(),
        phone=form.phone(),
        status=form.status(default=RINGING),
        pbx_call_id=form.id_text("pbx_call_id"),
        user_ids=form.numbers("user_ids"),
        group_ids=form.numbers("group_ids"),
        pbx_user_ids=form.texts("pbx_user_ids"),
        comment=form.fields.get("comment"),
    )


def _update(form: "_Form") -> Update:
    form.at_most_one_of("call_id", "pbx_call_id")
    form.at_most_one_of("user_id", "pbx_user_id")
    if "call_id" not in form.fields and not form.fields.get("pbx_call_id", "").strip():
        form.note("call_id", "is required (or pbx_call_id)")
    return Update(
        call_id=form.number("call_id", _CALL_NUMBER),
        pbx_call_id=form.id_text("pbx_call_id"),
        status=form.status(default=None),
        user_id=form.number("user_id", _NUMBER),
        pbx_user_id=form.id_text("pbx_user_id"),
        comment=form.fields.get("comment"),
    )


class _Form:
    """Reads one field at a time and notes what is wrong with it; what it returns then is of no use."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.wrong: list[WrongField] = []

    def note(self, name: str, detail: str) -> None:
        self.wrong.append(WrongField(name, detail))

    def at_most_one_of(self, *names: str) -> None:
        given = [name for name in names if name in self.fields]
        for name in given[1:]:
            self.note(name, f"can't be given together with {given[0]}")

    def direction(self) -> Direction:
        word = self.fields.get("direction", "").strip().lower()
        if word not in _DIRECTIONS:
            self.note("direction", "is incoming or outgoing" if word else "is required")
        return _DIRECTIONS.get(word, Direction.INCOMING)

    def phone(self) -> str:
        phone = self.fields.get("phone", "")
        if not phone.strip():
            self.note("phone", "is required")
        return self._short("phone", phone)

    def status(self, *, default: str | None) -> str:
        word = self.fields.get("call_status", "").strip().lower() or default
        if word not in STATUSES:
            self.note("call_status", f"is one of {', '.join(STATUSES)}" if word else "is required")
        return word or ""

    def id_text(self, name: str) -> str | None:
        return self._short(name, self.fields.get(name, "").strip()) or None

    def number(self, name: str, pattern: re.Pattern[str]) -> int | None:
        text = self.fields.get(name, "").strip()
        if not text:
            return None
        found = pattern.fullmatch(text)
        if found is None:
            self.note(name, "is a number")
            return None
        return int(found[1])

    def numbers(self, name: str) -> tuple[int, ...]:
        found = [_NUMBER.fullmatch(item) for item in self._items(name)]
        numbers = [int(each[1]) for each in found if each is not None]
        if len(numbers) < len(found):
            self.note(name, "is a list of numbers")
            return ()
        return tuple(dict.fromkeys(numbers))

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._short(name, item) for item in self._items(name)))

    def _items(self, name: str) -> list[str]:
        items: list[str] = json.loads(self.fields.get(name, "[]"))
        return items

    def _short(self, name: str, text: str) -> str:
        if len(text) > _LONGEST_ID:
            self.note(name, f"is longer than {_LONGEST_ID} characters")
        return text
