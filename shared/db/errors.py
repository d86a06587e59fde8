"""
CallbusError
├── Permanent
│   ├── UnknownSchema        the database's schema is not the one that this code knows
│   └── MigrationError       a migration cannot be applied as asked
└── Transient
    └── DatabaseUnavailable  PostgreSQL is away, starting, full, or too busy to answer in time
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from asyncpg.exceptions import _base as asyncpg_client

from shared.errors import Permanent, Transient


class UnknownSchema(Permanent):
    """The schema in the database is missing, older, newer, or another one: migrate, or deploy matching code."""


class MigrationError(Permanent):
    """A migration was changed after it had been applied, or its settings are wrong."""


class DatabaseUnavailable(Transient):
    """PostgreSQL can't take or answer this now; nothing is wrong with what was asked."""


_UNAVAILABLE = (
    OSError,  # TimeoutError too
    asyncpg.InterfaceError,  # the connection was closed beneath us
    asyncpg.InternalClientError,  # the same, not noticed yet
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.OperatorInterventionError,  # shut down, starting, statement took too long
    asyncpg.TransactionRollbackError,  # deadlock, serialization; writers retry before it gets here
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby that has not taken over yet
    asyncpg.InvalidAuthorizationSpecificationError,  # the operator's to mend, as are the next two
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidCatalogNameError,
)
_REFUSED = (
    asyncpg.DataError,
    asyncpg_client.DataError,  # the client's own: a number that does not fit its column
)


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise `DatabaseUnavailable` for what is the database's state, and `Permanent` for values that it refuses."""
    try:
        yield
    except _REFUSED as error:
        raise Permanent(f"the database refuses a value: {type(error).__name__}") from error
    except _UNAVAILABLE as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}", 2.0) from error
