"""Messages suspected of killing the process that handles them."""

from __future__ import annotations

import asyncpg

_NOTE = """
INSERT INTO {schema}.suspects (message_id, notes, noted_at) VALUES ($1, 1, now())
ON CONFLICT (message_id) DO UPDATE SET notes = suspects.notes + 1, noted_at = now()
RETURNING notes
"""
_CLEAR = "DELETE FROM {schema}.suspects WHERE message_id = $1"


class PostgresSuspects:
    """Notes of one service, in the table `<schema>.suspects` that its own migration makes.

    A note is committed before the message is handled: what kills the process leaves its note behind.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], schema: str) -> None:
        if not schema.isidentifier():
            raise ValueError(f"not a schema: {schema!r}")
        self._pool = pool
        self._note = _NOTE.format(schema=schema)
        self._clear = _CLEAR.format(schema=schema)

    async def note(self, message_id: str) -> int:
        """Write one more note and return how many the message has now. Raises what asyncpg raises."""
        notes = await self._pool.fetchval(self._note, message_id)
        return int(notes)

    async def clear(self, message_id: str) -> None:
        """Forget the notes of a message that was handled."""
        await self._pool.execute(self._clear, message_id)
