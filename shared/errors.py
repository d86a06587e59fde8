"""The two kinds of failure that decide a message's fate.

CallbusError
├── Permanent     the same message will fail again: dead-letter it now, with the reason
└── Transient     the world may change (time-out, lock, dependency away): try again later
"""


class CallbusError(Exception):
    """Base of every error that Callbus raises on purpose."""


class Permanent(CallbusError):
    """The same message or request will fail again, however often it is tried."""


class Transient(CallbusError):
    """The same message or request may succeed later; `retry_after_seconds` where somebody asked for a pause."""

    def __init__(self, message: str = "", retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
