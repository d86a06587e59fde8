"""JSON lines on stdout, one per event, with numbers masked and secrets gone.

    configure("ingest", "info")
    bind(request_id=..., call_id=...)      # on every line of this task from here on
    structlog.get_logger().info("call_routed", rule="user", operators=2)

Event names are constants; what varies goes beside them. Whatever a caller or a library puts into a line passes
`clean`, so a phone number or a key in an exception's text is masked too. Tracebacks carry no local variables.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, BinaryIO, Final

import orjson
import structlog
from structlog.contextvars import bind_contextvars as bind
from structlog.contextvars import clear_contextvars as unbind_all

from shared.phone import mask

__all__ = ["bind", "clean", "configure", "enabled", "mask_text", "unbind_all"]

_LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_OURS = frozenset({"timestamp", "level", "event", "service", "logger"})
_DROPPED = "***"
_least = logging.INFO  # what `configure` set last

# Compared with the key in lower case without "_" and "-".
_SECRET_KEYS = frozenset(
    {
        "password",
        "passwd",
        "secret",
        "clientsecret",
        "token",
        "apitoken",
        "crmtoken",
        "usertoken",
        "accesstoken",
        "refreshtoken",
        "authorization",
        "proxyauthorization",
        "cookie",
        "setcookie",
        "key",
        "apikey",
        "channelkey",
        "masterkey",
        "signature",
        "credentials",
        "dsn",
        "postgresdsn",
        "amqpurl",
    }
)
_NUMBER_KEYS = frozenset(
    {
        "phone",
        "phonenumber",
        "number",
        "numbera",
        "numberb",
        "from",
        "fromnumber",
        "to",
        "tonumber",
        "caller",
        "callerid",
        "callernumber",
        "callee",
        "called",
        "callednumber",
        "did",
        "diversion",
        "msisdn",
        "e164",
    }
)
# Names of ours that hold ids or times: digits there are no phone number.
_PLAIN_KEYS = frozenset(
    {
        "timestamp",
        "level",
        "event",
        "service",
        "logger",
        "requestid",
        "callid",
        "uid",
        "eventid",
        "messageid",
        "traceparent",
        "version",
        "checksum",
    }
)

_USERINFO = re.compile(r"(?<=://)[^/\s]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s,;\"']+")
_QUERY_SECRET = re.compile(
    r"(?i)\b(api_token|token|crm_?token|ticket|key|secret|client_secret|password|signature)=[^&\s\"']*"
)
_PATH_KEY = re.compile(r"(/hooks/(?!requests/)[^/\s]+/)[^/?\s\"']+|(/(?:@|%40))[^/?\s\"']+")
_NUMBER = re.compile(r"(?<![\w.+-])(?<!\d:)(?:\+|%2[bB])?\d(?:[ ()./-]{0,2}\d){6,14}(?![\w-])")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,3}(?:\.\d{1,3}){3}(?!\d)")


def mask_text(text: str) -> str:
    """Return `text` without credentials (URLs, headers, queries, our own key paths) and with phone numbers masked."""
    if "://" in text:
        text = _USERINFO.sub(_DROPPED + "@", text)
    if "=" in text:
        text = _QUERY_SECRET.sub(r"\1=" + _DROPPED, text)
    if "/" in text:
        text = _PATH_KEY.sub(lambda found: (found[1] or found[2]) + _DROPPED, text)
    text = _BEARER.sub(r"\1 " + _DROPPED, text)
    return _NUMBER.sub(_mask_number, text)


def _mask_number(found: re.Match[str]) -> str:
    text = found[0]
    if _DATE.match(text):
        return text
    plus = text[:3].lower() == "%2b"
    return mask("+" + text[3:] if plus else text)


def clean(value: Any, key: str = "") -> Any:
    """Return a copy of `value` fit for a log: secrets dropped and numbers masked by name and by look, at any depth."""
    name = key.lower().replace("_", "").replace("-", "")
    if name in _SECRET_KEYS:
        return _DROPPED
    if isinstance(value, Mapping):
        return {str(inner): clean(item, str(inner)) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, key) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    if name in _PLAIN_KEYS:
        return value
    if name in _NUMBER_KEYS and isinstance(value, str | int):
        return mask(str(value))
    return mask_text(value) if isinstance(value, str) else value


def _clean_line(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in line.items():
        if key not in _OURS:
            line[key] = clean(value, key)
    return line


def _render(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a lone surrogate, an integer beyond 64 bits: escaped rather than lost
        return orjson.dumps({str(key): ascii(value) for key, value in line.items()})


def _mask_library_event(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line["event"] = mask_text(str(line["event"]))  # a library's message is prose, not one of our constants
    return line


class _Patient:
    """A stream whose faults (a full disk, a reader that is gone) fail nobody: what it tells of goes on all the same."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, line: bytes) -> None:
        with suppress(OSError):
            self._stream.write(line)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _LibraryLines(logging.Handler):
    """Renders what libraries log through the standard module as the same JSON lines."""

    def __init__(self, processors: list[Any], stream: _Patient) -> None:
        super().__init__()
        self._processors = processors
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        line: Any = {"event": record.getMessage(), "logger": record.name, "level": record.levelname.lower()}
        if record.exc_info:
            line["exc_info"] = record.exc_info
        try:
            for process in self._processors:
                line = process(None, "", line)
            self._stream.write(line + b"\n")
            self._stream.flush()
        except Exception:  # a line that can't be written must not fail what it tells of
            self.handleError(record)


def configure(service: str, level: str = "info", stream: BinaryIO | None = None) -> None:
    """Send this process's logs to `stream` (stdout) as JSON lines of at least `level`; repeating it replaces the last.

    Every line carries `timestamp` (UTC), `level`, `event`, `service` and what `bind` has bound.
    """
    global _least
    _least = _LEVELS[level]
    out: Any = _Patient(stream or sys.stdout.buffer)

    def add_service(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["service"] = service
        return line

    tail: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_service,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
        ),
        _clean_line,
        _render,
    ]
    structlog.configure(
        processors=[structlog.processors.add_log_level, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.root.handlers[:] = [_LibraryLines([_mask_library_event, *tail], out)]
    # Libraries speak at "info" of every connection and request: theirs is read from "warning" on, unless debugging.
    # It reports every lost connection with a traceback; shared/bus says the same in one line, with the reason.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    logging.root.setLevel(logging.DEBUG if level == "debug" else max(logging.WARNING, _LEVELS[level]))


def enabled(level: str) -> bool:
    """Return whether a line of `level` would be written: ask before computing what only a log line needs."""
    return _LEVELS[level] >= _least
