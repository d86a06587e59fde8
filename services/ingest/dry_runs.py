"""`?dry_run=1`: a trial, which must never become a call, be it mistyped or asked of an API that has none."""

from typing import Final

from aiohttp import web

from shared.http import FieldError, Problem

_NAME: Final = "dry_run"
_WORDS: Final = {"1": True, "true": True, "0": False, "false": False}


def is_wanted(request: web.Request) -> bool:
    """Tell whether the URL's query asks for a trial. Raises `Problem` for a word that we don't know."""
    if not request.query_string:
        return False
    words = (value for name, value in request.query.items() if name.strip().lower() == _NAME)
    word = next(words, "0").strip().lower()
    if word not in _WORDS:
        raise _wrong("is 1 or 0")
    return _WORDS[word]


def refuse(request: web.Request) -> None:
    """Raise `Problem` where a trial is asked of an API that has none."""
    if is_wanted(request):
        raise _wrong("is known under /hooks/ alone")


def _wrong(detail: str) -> Problem:
    return Problem(422, detail="some parameters are wrong", errors=[FieldError(_NAME, detail)])
