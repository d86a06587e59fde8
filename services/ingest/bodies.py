"""From a request's bytes to named fields, in whatever of five dresses a telephone system puts them. Pure.

What a body looks like decides how it is read; its `Content-Type` is often wrong and only breaks ties. Body and query
are merged, the body wins. Names are lower-cased, values are text: a number is kept as it was written (an id such as
1772442904.120 is no quantity), what is nested is kept as JSON, null is absent. A name that comes twice with different
values keeps both, comma-separated (in JSON the last stands).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus, unquote_to_bytes
from xml.etree.ElementTree import Element, ParseError

import orjson
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from services.ingest.credentials import CREDENTIALS, as_json, freed_json
from services.ingest.errors import TooMuch, Unreadable

Fields = Mapping[str, str]
"""Values by lower-case name."""

MAX_FIELDS: Final = 200
MAX_NAME: Final = 100
MAX_VALUE: Final = 16 * 1024
MAX_BODY: Final = 256 * 1024
"""Reading holds up all other requests: what is hostile at this size does for a few hundredths of a second."""
_MAX_TAGS: Final = 100 * MAX_FIELDS
_MOST_NESTED_CREDENTIALS: Final = 20
"""Each is looked for in the whole body."""

# Ours, in the query: see the README.
_OPTIONS: Final = frozenset({"dry_run"})
_HIDDEN: Final = CREDENTIALS | _OPTIONS

_BOM: Final = b"\xef\xbb\xbf"
# Latin for Poles: what old PBX software writes when it isn't UTF-8. Any byte is some letter.
_FALLBACK_CHARSET: Final = "iso-8859-2"
_CHARSET = re.compile(r"charset=\"?([\w.-]{2,40})", re.IGNORECASE)
_BOUNDARY = re.compile(r"boundary=(?:\"([^\"]{1,200})\"|([^\s;]{1,200}))", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")

Pairs = Iterable[tuple[str, Any]]


class Parsed(NamedTuple):
    """A request's fields, and the credentials that they were freed of."""

    fields: Fields
    credentials: tuple[str, ...] = ()


def parse(body: bytes, query: str, content_type: str) -> Parsed:
    """Return the fields of a request. `query` is the URL's, still encoded. Raises `Unreadable` and `TooMuch`."""
    _check_size(body)
    merged = fields_of(_form(query.encode("utf-8", "surrogateescape"), "")) if query else {}
    if body and not body.isspace():
        merged.update(fields_of(pairs_of(body, content_type)))
    nested = _free_nested(merged)
    if CREDENTIALS.isdisjoint(merged) and "dry_run" not in merged:
        return Parsed(merged, nested)
    public = {name: value for name, value in merged.items() if name not in _HIDDEN}
    return Parsed(public, (*(merged[name] for name in CREDENTIALS & merged.keys()), *nested))


def _free_nested(fields: dict[str, str]) -> tuple[str, ...]:
    """Take credentials out of fields that are JSON themselves, and return them, the longest first."""
    found: frozenset[str] = frozenset()
    for name, text in fields.items():
        fields[name], credentials = freed_json(text)
        found |= credentials
    if len(found) > _MOST_NESTED_CREDENTIALS:
        raise TooMuch(f"more than {_MOST_NESTED_CREDENTIALS} credentials")
    return tuple(sorted(found, key=len, reverse=True))


class JsonObject(NamedTuple):
    """A JSON body's fields, credentials included; `structured` names those that are no text and no number."""

    fields: Fields
    structured: frozenset[str]


def parse_json(body: bytes, content_type: str) -> JsonObject:
    """Return the fields of a body that has to be JSON. Raises `Unreadable` and `TooMuch`."""
    _check_size(body)
    if body.removeprefix(_BOM).lstrip()[:1] not in (b"{", b"["):
        raise Unreadable("the body is not a JSON object")
    pairs = _json(body, content_type)
    structured = {name.strip().lower() for name, value in pairs if isinstance(value, bool | dict | list)}
    return JsonObject(fields_of(pairs), frozenset(structured))


def _check_size(body: bytes) -> None:
    if len(body) > MAX_BODY:
        raise TooMuch(f"the body is larger than {MAX_BODY // 1024} KiB")


def public_query(query: str) -> str:
    """Return the URL's query without credentials and our own options, still encoded."""
    if not query:
        return ""
    return clean("&".join(part for part in query.split("&") if _name_of(part) not in _HIDDEN))


def _name_of(part: str) -> str:
    return unquote_plus(part.partition("=")[0]).strip().lower()


def pairs_of(body: bytes, content_type: str) -> Pairs:
    """Return what a body says as it says it: names in their order, with values that may be nested where it is JSON.

    Raises `Unreadable` and `TooMuch`.
    """
    start = body.removeprefix(_BOM).lstrip()[:1]
    if start in (b"{", b"["):
        return _json(body, content_type)
    if start == b"<" or body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _xml(body, content_type)
    if start == b"-" and b"form-data" in body[:2000].lower():
        return _multipart(body, content_type)
    if b"=" not in body:
        raise Unreadable("the body is neither JSON nor XML nor a form")
    return _form(body.removeprefix(_BOM).strip(), content_type)


def fields_of(pairs: Pairs) -> dict[str, str]:
    """Return `pairs` as fields, credentials included: see the module. Raises `TooMuch`."""
    fields: dict[str, str] = {}
    for count, (name, value) in enumerate(pairs):
        if count >= MAX_FIELDS:
            raise TooMuch(f"more than {MAX_FIELDS} fields")
        if value is None:
            continue
        name = name.strip().lower()
        text = value if type(value) is str else _as_text(value)
        if not (name.isascii() and text.isascii()) or "\0" in text or "\0" in name:
            name, text = clean(name), clean(text)
        if len(name) > MAX_NAME or len(text) > MAX_VALUE:
            raise TooMuch(f"a field's name is longer than {MAX_NAME} or its value than {MAX_VALUE} characters")
        known = fields.get(name)
        fields[name] = text if known is None or known == text else f"{known}, {text}"
    return fields


def clean(text: str) -> str:
    """Replace what no database and no JSON takes: NUL, and halves of a character pair."""
    return _SURROGATE.sub("\ufffd", text.replace("\0", "\ufffd"))


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        try:
            return as_json(value)
        except RecursionError:
            raise TooMuch("a field is nested too deeply") from None
    return str(value)


def text_of(body: bytes, content_type: str) -> str:
    """Return bytes as text: UTF-8, else in the declared charset, else letters all the same."""
    body = body.removeprefix(_BOM)
    try:
        return body.decode()
    except UnicodeDecodeError:
        declared = _CHARSET.search(content_type)
        try:
            return body.decode(declared[1] if declared else _FALLBACK_CHARSET, "replace")
        except (LookupError, UnicodeError):  # no such charset, or one that is none for text ("idna", "undefined")
            return body.decode(_FALLBACK_CHARSET, "replace")


def _form(data: bytes, content_type: str) -> Pairs:
    if data.count(b"&") >= 2 * MAX_FIELDS:
        raise TooMuch(f"more than {MAX_FIELDS} fields")
    pairs = (part.partition(b"=") for part in data.split(b"&") if part)
    return [(_unquoted(name, content_type), _unquoted(value, content_type)) for name, _, value in pairs]


def _unquoted(data: bytes, content_type: str) -> str:
    """Decoded by itself, percents first: what is no UTF-8 behind them is still some letter, not a mark for any."""
    if b"+" in data:
        data = data.replace(b"+", b" ")
    if b"%" in data:
        data = unquote_to_bytes(data)
    return data.decode() if data.isascii() else text_of(data, content_type)


def _json(body: bytes, content_type: str) -> Pairs:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None  # half a character pair, another charset: the slower reader may still know
    if type(value) is dict and any(type(item) in (dict, list) and _is_long(item) for item in value.values()):
        raise TooMuch(f"a field's value is longer than {MAX_VALUE} characters")
    if type(value) is not dict or any(type(item) in (float, dict, list) for item in value.values()):
        value = _careful_json(text_of(body, content_type))
    if not isinstance(value, dict):
        raise Unreadable("the JSON body is not an object")
    return value.items()


def _is_long(item: Any) -> bool:
    """Whether what is nested is too long for a field: found out before the slower reader takes its time over it."""
    try:
        return len(orjson.dumps(item)) > MAX_VALUE
    except TypeError:  # nested too deeply for it
        return False


def _careful_json(text: str) -> Any:
    """As `json.loads`, with numbers as they were written."""
    try:
        return json.loads(text.strip(), parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise Unreadable("the body begins like JSON and is none") from None


def _xml(body: bytes, content_type: str) -> Pairs:
    """The text of every element that has no children, and every attribute."""
    if body.count(b"<") > _MAX_TAGS:
        raise TooMuch(f"more than {_MAX_TAGS} tags")
    try:
        try:
            root = _xml_root(body.strip())
        except ParseError:  # perhaps not in the encoding that it declares: as text, the declaration does not count
            root = _xml_root(text_of(body, content_type).strip())
    except DefusedXmlException as error:
        raise Unreadable("XML with a DTD or entities of its own is refused") from error
    except (ParseError, ValueError, LookupError):  # the latter two: an encoding that nobody knows
        raise Unreadable("the body begins like XML and is none") from None
    pairs: list[tuple[str, str]] = []
    for element in root.iter():
        pairs += [(_local(name), value) for name, value in element.attrib.items()]
        text = (element.text or "").strip()
        if len(element) == 0 and (text or not element.attrib):
            pairs.append((_local(str(element.tag)), text))
        if len(pairs) > MAX_FIELDS:
            raise TooMuch(f"more than {MAX_FIELDS} fields")
    return pairs


def _xml_root(source: bytes | str) -> Element:
    return fromstring(source, forbid_dtd=True, forbid_entities=True, forbid_external=True)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _multipart(body: bytes, content_type: str) -> Pairs:
    body = body.lstrip()
    declared = _BOUNDARY.search(content_type)
    boundary = (
        (declared[1] or declared[2]).encode("latin-1", "replace") if declared else body.split(b"\n", 1)[0].strip()[2:]
    )
    pairs: list[tuple[str, str]] = []
    content = bytearray()
    part: MultipartSegment | None = None
    try:
        with PushMultipartParser(boundary, max_segment_count=MAX_FIELDS, header_charset="latin-1") as parser:
            for piece in (*parser.parse(body), *parser.parse(b"")):
                if isinstance(piece, MultipartSegment):
                    part = piece
                    if not part.name:
                        raise Unreadable("a part of the multipart body has no name")
                elif piece:
                    content += piece
                elif part is not None:
                    pairs.append((text_of(part.name.encode("latin-1"), ""), _part_text(part, bytes(content))))
                    content.clear()
    except ParserLimitReached:
        raise TooMuch(f"more than {MAX_FIELDS} fields, or too long a part's header") from None
    except MultipartError as error:
        raise Unreadable(f"the multipart body is broken: {error}") from None
    if not pairs:
        raise Unreadable("the multipart body has no parts")
    return pairs


def _part_text(part: MultipartSegment, content: bytes) -> str:
    """Return a field's text; a file counts by its hash."""
    return text_of(content, "") if part.filename is None else "sha256:" + hashlib.sha256(content).hexdigest()
