"""How a channel's own names and words become ours: the mapping file of `generic` and `datera` channels. Pure.

It is kept as JSON with the channel (`Channel.mapping`), checked where it is written and read where calls come in.
`services/ingest/providers/generic/README.md` is its documentation, `mapping.schema.json` beside it the JSON Schema.
"""

import re
from collections.abc import Mapping as AnyMapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from shared.errors import Permanent

PROVIDERS: Final = frozenset({"generic", "datera"})
"""Whose channels take a mapping."""

EventWord = Literal["ringing", "answered", "ended", "noted", "ignored"]
DirectionWord = Literal["incoming", "outgoing", "internal"]
OutcomeWord = Literal["answered", "busy", "missed", "canceled", "failed", "unknown"]
AuthorityWord = Literal["live", "record"]

_LONGEST_NAME: Final = 100
_MOST_ALIASES: Final = 10
_MOST_WORDS: Final = 200
_LONGEST_PATTERN: Final = 64
_MOST_ERRORS: Final = 20
_SPACES = re.compile(r"\s+")
# Month, day, hour and minute have one and two digits, and no two are alike: what a pattern mixes up or drops shows.
_PROBES: Final = (datetime(2021, 2, 3, 4, 5, tzinfo=UTC), datetime(2022, 11, 12, 23, 59, tzinfo=UTC))


class InvalidMapping(Permanent):
    """A mapping that can't be used; `errors` are for the person who wrote it, such as "fields.call: Field required"."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def normal_word(text: str) -> str:
    """Return a word as it is compared: without spaces around it, in any case."""
    return _SPACES.sub(" ", text).strip().casefold()


def _as_list(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple):
        return tuple(value)
    raise ValueError("is a name or a list of names")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a character that can't be shown")
    return text


def _normal_words(table: dict[str, Any]) -> dict[str, Any]:
    normal = {normal_word(word): meaning for word, meaning in table.items()}
    if "" in normal:
        raise ValueError("a word is empty")
    if len(normal) < len(table):
        raise ValueError("a word is there twice, in different letters")
    return normal


def _check_time_format(value: str) -> str:
    if value in ("any", "unix", "unix_ms", "iso"):
        return value
    if "%" not in value:
        raise ValueError("is any, unix, unix_ms, iso or a pattern such as %d.%m.%Y %H:%M:%S")
    if "%Z" in value.replace("%%", ""):
        raise ValueError("%Z, the name of a time zone, can't be read; %z, an offset, can")
    try:
        kept = all(datetime.strptime(probe.strftime(value), value).replace(tzinfo=UTC) == probe for probe in _PROBES)
    except (ValueError, re.error, OverflowError):
        kept = False
    if not kept:
        raise ValueError("this pattern does not tell a date with hour and minute")
    return value


_NAME_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME, "pattern": r"^[^.]+(\.[^.]+)*$"}
_PRINTABLE: Final = AfterValidator(_printable)
Name = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME, pattern=_NAME_SCHEMA["pattern"]), _PRINTABLE]
Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=_MOST_ALIASES),
    WithJsonSchema(
        {"anyOf": [_NAME_SCHEMA, {"type": "array", "items": _NAME_SCHEMA, "minItems": 1, "maxItems": _MOST_ALIASES}]}
    ),
]
Word = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME), _PRINTABLE]
_TABLE: Final = Field(min_length=1, max_length=_MOST_WORDS)
_CHECKED: Final = AfterValidator(_normal_words)
Text = Annotated[str, Field(min_length=1, max_length=255), _PRINTABLE]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class FieldNames(_Model):
    """Under which names, the first that is there counts, each of our fields is sent. What is not listed is not read."""

    event: Names | None = Field(None, description="The kind of event; read by `words.event`.")
    call: Names = Field(description="The provider's id of the call.")
    leg: Names | None = Field(None, description="Extension or PBX user that the event is about.")
    direction: Names | None = Field(None, description="Read by `words.direction`.")
    from_: Names | None = Field(None, alias="from", description="Number of who calls.")
    from_name: Names | None = None
    to: Names | None = Field(None, description="Number of who is called.")
    to_name: Names | None = None
    did: Names | None = Field(None, description="The company's own number that the call came in on.")
    queue: Names | None = None
    user: Names | None = Field(None, description="PBX subscriber who is addressed.")
    user_ids: Names | None = Field(None, description="Ids of our users: a list, or numbers with commas between.")
    group_ids: Names | None = Field(None, description="Ids of our groups, likewise.")
    pbx_user_ids: Names | None = Field(None, description="The PBX's own ids of users, likewise.")
    outcome: Names | None = Field(None, description="How it ended; read by `words.outcome`.")
    cause: Names | None = Field(None, description="The provider's word for how it ended, to be kept.")
    authority: Names | None = Field(None, description="`live` or `record`.")
    duration_seconds: Names | None = Field(None, description="From start to end, in the unit of `durations`.")
    talk_seconds: Names | None = Field(None, description="Talked time, in the unit of `durations`.")
    recording: Names | None = Field(None, description="URL of the recording, http or https.")
    comment: Names | None = None
    client_id: Names | None = Field(None, description="A whole number.")
    contact_id: Names | None = Field(None, description="A whole number.")
    external_id: Names | None = None
    time: Names | None = Field(None, description="When that which the message tells happened.")
    started_at: Names | None = Field(None, description="When the call began.")


class Words(_Model):
    """The provider's words by ours, in any case. Where a table is given only its words count."""

    event: Annotated[dict[Word, EventWord], _TABLE, _CHECKED] | None = Field(
        None, description="`ignored`: taken, and no event of a call."
    )
    direction: Annotated[dict[Word, DirectionWord], _TABLE, _CHECKED] | None = None
    outcome: Annotated[dict[Word, OutcomeWord], _TABLE, _CHECKED] | None = None


class Defaults(_Model):
    """What counts where a message does not say, in our words; a constant for a field that has no name in `fields`."""

    event: EventWord | None = None
    direction: DirectionWord | None = None
    outcome: OutcomeWord | None = None
    authority: AuthorityWord | None = None
    from_: Text | None = Field(None, alias="from")
    to: Text | None = None
    did: Text | None = None
    queue: Text | None = None
    user: Text | None = None


class Mapping(_Model):
    """One channel's mapping file."""

    fields: FieldNames
    words: Words = Words()
    defaults: Defaults = Defaults()
    time: Literal["always", "sometimes"] = Field(
        "sometimes",
        description="`always`: every message carries `fields.time`, and it orders the events of a call; one without is "
        "refused. Else they are ordered by when we received them.",
    )
    time_format: Annotated[str, Field(max_length=_LONGEST_PATTERN), AfterValidator(_check_time_format)] = Field(
        "any",
        description="`unix` (seconds), `unix_ms`, `iso`, `any` of the three, or a pattern of Python's strptime. A time "
        "that names no offset is in the channel's time zone.",
    )
    durations: Literal["seconds", "milliseconds", "minutes", "clock"] = Field(
        "seconds", description="`clock`: 1:02:03 or 02:03."
    )
    ends: Literal["named", "leg", "call"] = Field(
        "named",
        description="`named`: an end that names a leg is that leg's, one that names none the call's. `leg`: the same, "
        "and the end of the last live leg ends the call. `call`: every end is the call's, whatever leg it names.",
    )

    @classmethod
    def read(cls, value: AnyMapping[str, Any]) -> Self:
        """Return the mapping that a JSON object holds. Raises `InvalidMapping`."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise InvalidMapping(tuple(_told(each) for each in error.errors()[:_MOST_ERRORS])) from None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for name in ("event", "direction", "outcome"):
            if getattr(self.words, name) is not None and getattr(self.fields, name) is None:
                raise ValueError(f"words.{name} is given, but fields.{name} is not")
        if self.fields.event is None and self.defaults.event is None:
            raise ValueError("fields.event or defaults.event is needed")
        if self.time == "always" and self.fields.time is None:
            raise ValueError("time is always, but fields.time is not given")
        return self


def _told(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {text}" if place else text
