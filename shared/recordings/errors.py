"""
CallbusError
├── Permanent
│   ├── TooLarge              an upload over the limit
│   ├── NoRecording           nothing is kept under this key
│   └── InvalidLink           a link that we did not sign, or that was changed
│       └── ExpiredLink       it was ours, and is over
└── Transient
    └── RecordingsUnavailable the store is away, full, or may not be written
"""

from shared.errors import Permanent, Transient


class TooLarge(Permanent):
    """An upload is over the limit."""


class NoRecording(Permanent):
    """Nothing is kept under this key, or it can be no key at all."""


class InvalidLink(Permanent):
    """We did not sign this link, or it was changed since."""


class ExpiredLink(InvalidLink):
    """The link was ours, and is over."""


class RecordingsUnavailable(Transient):
    """The store is away, full, or may not be written."""
