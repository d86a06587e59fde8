"""PostgreSQL for every service: pool, named SQL files, migrations, suspects. See README.md."""

from shared.db.database import Database
from shared.db.errors import DatabaseUnavailable, database_errors
from shared.db.pool import create_pool, opened_pool
from shared.db.queries import Queries
from shared.db.suspects import PostgresSuspects

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "PostgresSuspects",
    "Queries",
    "create_pool",
    "database_errors",
    "opened_pool",
]
