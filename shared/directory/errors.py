"""
CallbusError
└── Transient
    └── DirectoryUnavailable   answer 503: whether a key or token is good cannot be said now
"""

from shared.errors import Transient


class DirectoryUnavailable(Transient):
    """The directory cannot be asked, and what is in memory does not settle the question."""
