"""
CallbusError
└── Permanent
    ├── NotFound      no such row (or not of this account: nothing tells the two apart)
    └── Invalid       a value that the directory does not take; the text is for people
"""

from shared.errors import Permanent


class NotFound(Permanent):
    """There is no such row."""


class Invalid(Permanent):
    """The directory does not take this value."""
