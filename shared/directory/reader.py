"""Keeps a snapshot of the directory current.

One connection listens for changes and, because a notification on a half-open connection is lost, also asks for the
version every few seconds. Whatever happens to it, it is thrown away and a new one listens first and reads then. What is
in memory stays in use meanwhile: losing a call is worse than taking one on a key that was revoked a minute ago. API
tokens are refused once the snapshot is older than ten minutes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Never, TypeVar

import asyncpg
import structlog

from shared import clock as wall_clock
from shared.directory import cache, loading, metrics
from shared.directory.errors import DirectoryUnavailable
from shared.directory.model import Channel, KeyKind, Partner, Token
from shared.directory.parts import Part
from shared.directory.snapshot import Snapshot
from shared.secrets import hash_token

_CONNECT_TIMEOUT_SECONDS: Final = 5.0
_LOAD_TIMEOUT_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02  # between two questions, so that a flood of unknown keys costs 50 small queries a second
_BACKOFF_SECONDS: Final = (0.2, 5.0)
_ABSENT_LIMIT: Final = 10_000  # unknown keys remembered, a megabyte or two

T = TypeVar("T")

log = structlog.get_logger(__name__)


class DirectoryReader:
    """The directory for one process: `run()` keeps it current, everything else answers from memory.

    `dsn` may point to a database that is away. `cache_file` is written after every read and started from at the next
    start. Intervals and the clock are parameters for tests.
    """

    def __init__(
        self,
        dsn: str,
        parts: Collection[Part],
        *,
        application_name: str = "callbus directory",
        cache_file: Path | None = None,
        poll_seconds: float = 5.0,
        answer_timeout_seconds: float = 3.0,
        lookup_timeout_seconds: float = 2.0,
        absent_seconds: float = 5.0,
        stale_after_seconds: float = 600.0,
        clock: Callable[[], datetime] = wall_clock.now,
    ) -> None:
        if cache_file is not None and Part.CONTACTS in parts:
            raise ValueError("people's names and numbers are not for a cache on disk")
        self._dsn = dsn
        self._parts = tuple(sorted(set(parts)))
        self._application_name = application_name
        self._cache_file = cache_file
        self._poll_seconds = poll_seconds
        self._answer_timeout_seconds = answer_timeout_seconds
        self._lookup_timeout_seconds = lookup_timeout_seconds
        self._absent = _Absent(timedelta(seconds=absent_seconds))
        self._stale_after_seconds = stale_after_seconds
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._confirmed_at: datetime | None = None
        self._confirmed_tick = 0.0
        self._connected = False
        self._why_not = "not read yet"
        self._loaded = asyncio.Event()
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    # --- what requests ask

    @property
    def snapshot(self) -> Snapshot:
        """The directory as it was last read. Raises `DirectoryUnavailable` before the first read."""
        if self._snapshot is None:
            raise DirectoryUnavailable(f"the directory has not been read: {self._why_not}", 1.0)
        return self._snapshot

    @property
    def age_seconds(self) -> float:
        """Seconds since the snapshot was last known to be the newest; infinite before the first read."""
        if self._confirmed_at is None:
            return float("inf")
        # The clock knows of time asleep and before this process; ticks never go back when somebody sets it.
        return max((self._clock() - self._confirmed_at).total_seconds(), time.monotonic() - self._confirmed_tick)

    @property
    def ready(self) -> bool:
        """Whether requests can be judged: there is a snapshot, and, where tokens are, it is fresh enough for them."""
        return self._snapshot is not None and not (Part.TOKENS in self._parts and self._is_stale)

    @property
    def reason(self) -> str:
        """Version and age of the snapshot, and what is wrong with the database if something is."""
        if self._snapshot is None:
            return self._why_not
        text = f"version {self._snapshot.version}, {self.age_seconds:.0f} s old"
        return text if self._connected else f"{text}; {self._why_not}"

    async def channel_by_key(self, key: str, kind: KeyKind = "key") -> Channel | None:
        """The channel, enabled or not, that `key` names; honoured however old the snapshot.

        An unknown key is looked up in the database, once for all who ask at a time; "no" is remembered for some
        seconds. Raises `DirectoryUnavailable` while that is impossible.
        """
        digest = hash_token(key).hex()
        return await self._find(kind + digest, lambda now: self.snapshot.channel(digest, kind, now))

    async def partner_by_token(self, token: str) -> Partner | None:
        """The partner that `token` names, by the rules of `channel_by_key`."""
        digest = hash_token(token).hex()
        return await self._find("partner" + digest, lambda now: self.snapshot.partner(digest, now))

    def token(self, token: str) -> Token | None:
        """The valid API token in memory. Raises `DirectoryUnavailable` when the snapshot is too old to say."""
        self._refuse_stale()
        return self.snapshot.token(hash_token(token).hex(), self._clock())

    async def find_token(self, token: str) -> Token | None:
        """As `token`, but one that is not in memory is looked up, as in `channel_by_key`: it may be a moment old."""
        self._refuse_stale()
        digest = hash_token(token).hex()
        return await self._find("token" + digest, lambda now: self.snapshot.token(digest, now))

    async def refresh(self) -> Snapshot:
        """The directory at least as new as this call: for what should be in it and is not, before saying so.

        All who ask at a time share one question. Raises `DirectoryUnavailable` while that is impossible.
        """
        await self._ask_now()
        return self.snapshot

    async def wait_loaded(self) -> None:
        """Return once there is a snapshot, from the database or from disk."""
        await self._loaded.wait()

    @property
    def _is_stale(self) -> bool:
        return self.age_seconds > self._stale_after_seconds

    def _refuse_stale(self) -> None:
        if self._is_stale:
            raise DirectoryUnavailable(f"tokens cannot be checked: {self.reason}", 5.0)

    async def _find(self, name: str, look: Callable[[datetime], T | None]) -> T | None:
        found = look(self._clock())
        if found is not None or self._absent.has(name, self._clock()):
            return found
        try:
            await self._ask_now()
        except DirectoryUnavailable:
            metrics.LOOKUPS.labels("unavailable").inc()
            raise
        found = look(self._clock())
        metrics.LOOKUPS.labels("absent" if found is None else "found").inc()
        if found is None:
            self._absent.add(name, self._clock())
        return found

    async def _ask_now(self) -> None:
        """Return when the snapshot is at least as new as this call."""
        if not self._connected:
            raise DirectoryUnavailable(f"cannot look it up: {self._why_not}", 1.0)
        answered = asyncio.get_running_loop().create_future()
        self._waiting.append(answered)
        self._wake.set()
        try:
            async with asyncio.timeout(self._lookup_timeout_seconds):
                await answered
        except TimeoutError:
            raise DirectoryUnavailable("cannot look it up: the database does not answer", 1.0) from None

    # --- what keeps it current

    async def run(self) -> Never:
        """Keep the snapshot current until cancelled."""
        metrics.AGE_SECONDS.set_function(lambda: self.age_seconds)
        await self._start_from_cache()
        failures = 0
        while True:
            try:
                await self._follow()
            except Exception as error:  # whatever it was: a reader that gives up is a directory that grows old
                # A connection that had worked starts the back-off anew.
                failures = 1 if self._connected else failures + 1
                self._lost(error)
            low, high = _BACKOFF_SECONDS
            await asyncio.sleep(min(high, low * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0))

    async def _follow(self) -> Never:
        conn = await asyncpg.connect(
            self._dsn,
            timeout=_CONNECT_TIMEOUT_SECONDS,
            server_settings={"application_name": self._application_name, "statement_timeout": "60000"},
        )
        try:
            conn.add_termination_listener(lambda _: self._wake.set())
            # Listening first: what changes while we read is then notified.
            async with asyncio.timeout(self._answer_timeout_seconds):
                await conn.add_listener("directory", lambda *args: self._notified(str(args[3])))
            await self._load(conn)
            self._connected = True
            while True:
                began = asyncio.get_running_loop().time()
                await self._catch_up(conn)
                took = asyncio.get_running_loop().time() - began
                await asyncio.sleep(
                    max(_PAUSE_SECONDS, took)
                )  # reading a big, busy directory takes half our time at most
                await self._pause()
        finally:
            conn.terminate()  # a goodbye would wait on a connection that may be half-open

    async def _catch_up(self, conn: asyncpg.Connection[asyncpg.Record]) -> None:
        self._wake.clear()
        waiting, self._waiting = self._waiting, []
        try:
            asked_at = self._clock()
            async with asyncio.timeout(self._answer_timeout_seconds):
                version = await loading.read_version(conn)
            if version == self.snapshot.version:
                self._confirm(asked_at)
            else:
                await self._load(conn)
        except BaseException:
            self._waiting += waiting  # told with the others why it failed
            raise
        for answered in waiting:
            if not answered.done():
                answered.set_result(None)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll_seconds):
                await self._wake.wait()
        except TimeoutError:
            pass  # time to poll

    def _notified(self, version: str) -> None:
        if not version.isdecimal() or self._snapshot is None or int(version) > self._snapshot.version:
            self._wake.set()

    async def _load(self, conn: asyncpg.Connection[asyncpg.Record]) -> None:
        asked_at = self._clock()
        async with asyncio.timeout(_LOAD_TIMEOUT_SECONDS):
            document, snapshot = await loading.load(conn, self._parts, self._snapshot)
        self._install(snapshot, asked_at)
        metrics.LOADS.inc()
        log.info("directory_loaded", version=snapshot.version)
        if self._cache_file is not None:
            try:
                await asyncio.to_thread(cache.write, self._cache_file, self._parts, document, asked_at)
            except OSError as error:
                log.warning("directory_cache_unwritten", reason=str(error))

    def _install(self, snapshot: Snapshot, confirmed_at: datetime) -> None:
        self._snapshot = snapshot
        self._confirm(confirmed_at)
        self._loaded.set()
        metrics.VERSION.set(snapshot.version)

    def _confirm(self, at: datetime) -> None:
        self._confirmed_at = at
        self._confirmed_tick = time.monotonic() - max(0.0, (self._clock() - at).total_seconds())

    async def _start_from_cache(self) -> None:
        if self._cache_file is None or self._snapshot is not None:
            return
        try:
            snapshot, read_at = await asyncio.to_thread(cache.read, self._cache_file, self._parts)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("directory_cache_ignored", reason=str(error))
            return
        self._install(snapshot, read_at)
        log.info("directory_started_from_cache", version=snapshot.version, age_seconds=round(self.age_seconds))

    def _lost(self, error: Exception) -> None:
        self._connected = False
        self._why_not = f"database away ({type(error).__name__})"
        log.warning("directory_connection_lost", reason=str(error) or type(error).__name__)
        waiting, self._waiting = self._waiting, []
        for answered in waiting:
            if not answered.done():
                answered.set_exception(DirectoryUnavailable(f"cannot look it up: {self._why_not}", 1.0))


class _Absent:
    """What was looked up in vain, for a while. Bounded: the oldest is forgotten first."""

    def __init__(self, remembered: timedelta) -> None:
        self._remembered = remembered
        self._until: dict[str, datetime] = {}

    def has(self, name: str, now: datetime) -> bool:
        until = self._until.get(name)
        return until is not None and now < until

    def add(self, name: str, now: datetime) -> None:
        self._until.pop(name, None)
        self._until[name] = now + self._remembered
        if len(self._until) > _ABSENT_LIMIT:
            del self._until[next(iter(self._until))]
