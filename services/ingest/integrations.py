"""Which partner channels are switched on by their partner's `setup`."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final, Never

from services.ingest.chores import repeat
from services.ingest.transactions import Transactions
from shared.db import DatabaseUnavailable, Queries
from shared.directory import Channel

_SQL: Final = Queries.load(Path(__file__).parent / "sql" / "integrations.sql")
_INTERVAL_SECONDS: Final = 5.0


class Integrations:
    """The database decides; what it last said is remembered for when it is away."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._seen: dict[int, bool] = {}
        self._all_seen = False

    async def run(self) -> Never:
        """Keep what is remembered near to what is so, until cancelled: this process may be asked for any channel."""
        await repeat("read what is enabled", _INTERVAL_SECONDS, self._read)

    async def set_enabled(self, channel: Channel, enabled: bool, at: datetime) -> None:
        """Switch a channel on or off; twice is once. Raises `DatabaseUnavailable`."""
        async with self._transactions.begin(channel.id) as connection:
            await connection.execute(_SQL.set_enabled, channel.id, channel.account_id, enabled, at)
        self._seen[channel.id] = enabled

    async def is_enabled(self, channel: Channel) -> bool:
        """Return whether the channel is switched on, or was when that was last known. Raises `DatabaseUnavailable`."""
        try:
            async with self._transactions.begin(channel.id) as connection:
                return await self.ask(channel, connection)
        except DatabaseUnavailable:
            known = self.last_known(channel)
            if known is None:
                raise
            return known

    async def ask(self, channel: Channel, connection: Any) -> bool:
        """Return whether the channel is switched on, as `connection`'s next statement sees it."""
        enabled = await connection.fetchval(_SQL.is_enabled, channel.id, channel.account_id)
        self._seen[channel.id] = enabled is True
        return enabled is True

    async def _read(self) -> None:
        async with self._transactions.begin() as connection:
            rows = await connection.fetch(_SQL.enabled)
        self._seen = {row["channel_id"]: True for row in rows}
        self._all_seen = True

    def last_known(self, channel: Channel) -> bool | None:
        """Return whether it was switched on when that was last asked; None where it never was."""
        return self._seen.get(channel.id, False if self._all_seen else None)
