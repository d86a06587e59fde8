"""
CallbusError
├── Permanent
│   ├── UnknownSchema    the database's schema is not the one that this code knows
│   └── MigrationError   a migration cannot be applied as asked
"""

from shared.errors import Permanent


class UnknownSchema(Permanent):
    """The schema in the database is missing, older, newer, or another one: migrate, or deploy matching code."""


class MigrationError(Permanent):
    """A migration was changed after it had been applied, or its settings are wrong."""
