"""Why a request yields no event.

CallbusError
└── Permanent
    └── Refused
        ├── Unreadable     no fields can be made of it: 400
        ├── TooMuch        over a limit: 413
        ├── Incomplete     lacks what a call needs: 422, one entry per field
        ├── Misconfigured  our side of the channel is set up wrongly: 503, for its sender did nothing wrong
        └── Unrecognised   a word that we don't know: 200, "accepted": false; kept, to be applied when we learn it
"""

from collections.abc import Sequence
from typing import NamedTuple

from shared.errors import Permanent


class WrongField(NamedTuple):
    """One field that a call needs: its name as documented, and what is wrong with it."""

    field: str
    detail: str


class Refused(Permanent):
    """No event comes of this request."""


class Unreadable(Refused):
    """The body is in none of the formats that we read, or broken."""


class TooMuch(Refused):
    """More fields, or longer ones, than any telephone system sends."""


class Incomplete(Refused):
    """What a call needs is missing or unusable."""

    def __init__(self, errors: Sequence[WrongField]) -> None:
        super().__init__("; ".join(f"{error.field} {error.detail}" for error in errors))
        self.errors = tuple(errors)


class Misconfigured(Refused):
    """What is configured for the channel can't be used, so nothing that it sends can be read."""


class Unrecognised(Refused):
    """A new event kind or status of a provider. A PBX must not be driven to switch its webhook off for one."""

    def __init__(self, field: str, word: str) -> None:
        super().__init__(f"unknown {field}: {word[:100]!r}")
        self.field = field
