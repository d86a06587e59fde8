"""PostgreSQL for every service: pool, named SQL files, migrations, suspects. See README.md."""

from shared.db.pool import create_pool
from shared.db.queries import Queries
from shared.db.suspects import PostgresSuspects

__all__ = ["PostgresSuspects", "Queries", "create_pool"]
