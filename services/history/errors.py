"""
CallbusError
└── Permanent
    └── ForeignCall          an event names a call of another account
"""

from shared.errors import Permanent


class ForeignCall(Permanent):
    """An event of one account names a call that belongs to another."""
