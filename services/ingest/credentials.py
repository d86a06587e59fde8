"""Credentials in what providers send: they are no fields of a call, and whatever is kept is freed of them. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

# Never a field of a call: kept out of identities, events and logs.
CREDENTIALS: Final = frozenset(
    {
        "token",
        "api_token",
        "apitoken",
        "access_token",
        "accesstoken",
        "auth_token",
        "authtoken",
        "authorization",
        "key",
        "api_key",
        "apikey",
        "secret",
        "client_secret",
        "clientsecret",
        "password",
        "passwd",
        "crm_token",
        "crmtoken",
    }
)

_SECRET_NAMES = tuple(sorted(name.encode() for name in CREDENTIALS))
_SECRET_NAME = "(?:" + "|".join(sorted(CREDENTIALS, key=len, reverse=True)) + ")"
# How a credential stands in each dress: (what leads to it)(it). All that leads to it is bounded: time stays linear.
_SECRETS = tuple(
    re.compile(pattern.replace("NAME", _SECRET_NAME).encode(), re.IGNORECASE | re.DOTALL)
    for pattern in (
        # JSON, flat and nested
        r'("NAME"\s{0,20}:\s{0,20}"|"NAME"\s{0,20}:\s{0,20}(?=[^\s"\[{]))((?<=")(?:[^"\\]|\\.)+|(?<!")[^\s,}]+)',
        r'("NAME"\s{0,20}:\s{0,20})(\[[^\]]{0,2000}\]|\{[^}]{0,2000}\})',
        r'(\\{1,8}"NAME\\{1,8}"\s{0,20}:\s{0,20}\\{1,8}")([^"\\]+)',  # JSON in a string of JSON
        r'(\sNAME\s{0,20}=\s{0,20}")([^"]+)',  # XML attribute
        r"(\sNAME\s{0,20}=\s{0,20}')([^']+)",
        r"(<(?:[\w.-]{1,40}:)?NAME(?:\s[^>]{0,200})?>\s{0,20}(?:<!\[CDATA\[)?)([^<\]]+)",  # XML element
        r'("NAME"\s{0,20}>)([^<]+)',  # <field name="token">
        r"((?:^|[&?\s])NAME=)([^&\s\"'<>]+)",  # form
        r'(name="?NAME"?(?:;[^\n]{0,200})?\r?\n(?:[^\r\n]{1,200}\r?\n){0,8}\r?\n)(.+?)(?=\r?\n--|\Z)',  # multipart
    )
)
# In what is none of these: the next word behind a credential's name, unless it is a hash that stands for it already.
_NEXT_WORD = re.compile(
    rb"(?<!\w)(NAME\W{1,12}?(?:(?:bearer|basic) {1,4})?)(?![0-9a-f]{8}(?!\w))([^\s\"'&<>;,{}\[\]()]{6,})".replace(
        b"NAME", _SECRET_NAME.encode()
    ),
    re.IGNORECASE,
)
_SHORTEST_SECRET: Final = 6
_CHARSETS: Final = ("utf-8", "utf-16-le", "utf-16-be", "iso-8859-2")
_NAMED_IN_JSON = re.compile(rf'"\s{{0,20}}{_SECRET_NAME}\s{{0,20}}"', re.IGNORECASE)


def without_credentials(body: bytes, known: Iterable[str] = ()) -> bytes:
    """Return `body` with the value of every credential replaced by the first eight digits of its hash.

    `known` are credentials as they were read: those of six characters or more go wherever they stand, for there are
    more ways to write a name (escapes, encodings) than the patterns know.
    """
    lowered = body.lower()
    if any(name in lowered for name in _SECRET_NAMES):  # what the patterns look for takes longer
        for pattern in _SECRETS:
            body = pattern.sub(lambda found: found[1] + _digest(found[2]), body)
    for secret in known:
        if len(secret) >= _SHORTEST_SECRET:
            for written in _spellings(secret):
                body = body.replace(written, _digest(written))
    return body


def without_next_words(body: bytes) -> bytes:
    """Return `body`, which nobody can read, without the words that follow the name of a credential."""
    return _NEXT_WORD.sub(lambda found: found[1] + _digest(found[2]), body)


def freed(text: str, known: Iterable[str]) -> str:
    """Return `text` as `without_credentials` returns bytes."""
    return without_credentials(text.encode(), known).decode("utf-8", "replace")


def _spellings(secret: str) -> tuple[bytes, ...]:
    plain = tuple(secret.encode(charset, "replace") for charset in _CHARSETS)
    return (*plain, json.dumps(secret)[1:-1].encode(), quote(secret).encode(), quote_plus(secret).encode())


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).hexdigest()[:8].encode()


def freed_json(text: str) -> tuple[str, frozenset[str]]:
    """Return a field's text, which may be JSON itself, without credentials, and what they were."""
    if text[:1] not in ("{", "[") or not _NAMED_IN_JSON.search(text):
        return text, frozenset()
    try:
        value = json.loads(text, parse_float=str, parse_int=str)
        return as_json(value), frozenset(_credentials_of(value))
    except (ValueError, RecursionError):
        return text, frozenset()


def as_json(value: Any) -> str:
    """Return what is nested as JSON, without credentials at any depth. Raises `RecursionError`."""
    return json.dumps(_public(value), ensure_ascii=True, sort_keys=True)


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _public(item) for name, item in value.items() if name.strip().lower() not in CREDENTIALS}
    if isinstance(value, str):
        return freed_json(value)[0]
    return [_public(item) for item in value] if isinstance(value, list) else value


def _credentials_of(value: Any) -> Iterator[str]:
    """Yield all text beneath a credential's name, at any depth."""
    todo = [(value, False)]
    while todo:
        item, is_secret = todo.pop()
        if isinstance(item, dict):
            todo += [(inner, is_secret or name.strip().lower() in CREDENTIALS) for name, inner in item.items()]
        elif isinstance(item, list):
            todo += [(inner, is_secret) for inner in item]
        elif is_secret and isinstance(item, str):
            yield item
        elif isinstance(item, str):
            yield from freed_json(item)[1]
