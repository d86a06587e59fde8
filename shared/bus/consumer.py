"""The batch consumer of one queue: batches, retries, poison, pauses, shutdown. See README.md for its states."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from pamqp import commands as spec

from shared.bus import metrics
from shared.bus.backoff import Backoff, wait_seconds
from shared.bus.deadletter import dead_message, original_address
from shared.bus.failures import Failures
from shared.bus.inbox import Inbox
from shared.bus.messages import Delivery, Publisher
from shared.bus.supervise import Lost, deadline, describe, race, until_closed
from shared.bus.wire import Channel, Connection
from shared.errors import Permanent, Transient

log = structlog.get_logger(__name__)

Handle = Callable[[Sequence[Delivery]], Awaitable[None]]
Probe = Callable[[], Awaitable[object]]


class Suspects(Protocol):
    """Notes of messages that may kill the process, kept where a crash can't reach them."""

    async def note(self, message_id: str) -> int:
        """Write one more note, durably, and return how many this message has now."""
        ...

    async def clear(self, message_id: str) -> None:
        """Forget the notes of a message."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long a consumer bears with what goes wrong, in seconds unless said otherwise."""

    handle: float = 60.0  # one call of the handler
    retry_first: float = 0.2  # first wait before a message that failed alone is tried again
    retry_cap: float = 30.0
    tries: int = 10  # counted failures that make a message poison
    setback_first: float = 0.1  # first wait of everything after a Transient
    setback_cap: float = 5.0
    pause_after: float = 60.0  # of nothing but Transient
    resume_first: float = 1.0  # first wait of a pause, and between its probes
    resume_cap: float = 10.0  # between probes
    idle_cap: float = 300.0  # of pauses that follow one another although the probe says that all is well
    probe: float = 5.0  # one call of the probe
    hold: float = 300.0  # no delivery is held longer: the broker closes the channel of one held for 30 minutes
    open: float = 10.0  # opening a channel and its consumer
    suspect_from: int = 10  # deliveries
    suspect_notes: int = 3


class _Pause(Exception):
    """Nothing can be handled now."""


class BatchConsumer:
    """Hands the messages of `queue` to `handle`, and makes sure that each is handled or dead, never lost.

    It does not keep order: what was delivered before or has failed is handled alone and out of turn. `dependencies`
    is a probe of what the handler needs: unhealthy when it raises or returns False.
    """

    def __init__(
        self,
        queue: str,
        handle: Handle,
        publisher: Publisher,
        *,
        dead_queue: str,
        prefetch: int = 400,
        batch_size: int = 200,
        suspects: Suspects | None = None,
        dependencies: Probe | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.queue = queue
        self.reason = "not started"
        self._healthy = False
        self._handle = handle
        self._publisher = publisher
        self._dead_queue = dead_queue
        self._prefetch = prefetch
        self._batch_size = batch_size
        self._suspects = suspects
        self._dependencies = dependencies
        self._patience = patience = patience or Patience()
        self._failures = Failures(patience.tries)
        self._setback = Backoff(patience.setback_first, patience.setback_cap)
        self._setbacks = 0
        self._failing_since: float | None = None
        self._pauses = 0
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._burials: set[asyncio.Task[None]] = set()
        self._void_notes: dict[str, int] = {}  # by message id: written, survived, and not cleared yet
        metrics.PAUSED.labels(queue).set(0)

    @property
    def ready(self) -> bool:
        """Whether messages are being handled as they come."""
        return self._healthy

    async def run(self, connection: Connection) -> None:
        """Consume on `connection` until stopped; raise when anything of it ends."""
        self._idle.clear()
        try:
            while not self._stopping.is_set():
                try:
                    await self._consume(connection)
                except _Pause:
                    await self._pause()
        finally:
            self._healthy = False
            self._idle.set()

    async def stop(self) -> None:
        """Take no more messages, finish what was received, return when that is done. The caller sets the deadline."""
        self._stopping.set()
        self._wake.set()
        await self._idle.wait()

    # -- one channel ------------------------------------------------------------------------------------------------

    async def _consume(self, connection: Connection) -> None:
        inbox = Inbox(self._batch_size, self._patience.suspect_from)
        self._setbacks, self._failing_since = 0, None
        self._setback.reset()
        async with deadline(self._patience.open, f"beginning to consume {self.queue}"):
            channel = await Channel.opened(connection, frame_buffer=3 * self._prefetch)
            channel.on_delivery = lambda frame, properties, body: self._received(inbox, frame, properties, body)
            await channel.basic_qos(prefetch_count=self._prefetch)
            consumer = await channel.basic_consume(self.queue, _unused)
        self._set_health("consuming", healthy=True)
        log.info("bus_consumer_started", queue=self.queue)
        try:
            await race(
                until_closed(channel),
                _until_cancelled(channel),
                self._work(channel, inbox, consumer.consumer_tag or ""),
            )
        except _Pause:
            raise  # health says already what can't be handled, and why
        except Exception as error:
            self._set_health(describe(error), healthy=False)
            raise
        finally:
            for burial in self._burials:
                burial.cancel()
            with suppress(Exception):
                async with asyncio.timeout(self._patience.open):
                    await channel.close()

    def _received(
        self, inbox: Inbox, frame: spec.Basic.Deliver, properties: spec.Basic.Properties, body: bytes
    ) -> None:
        inbox.add(_delivery(frame, properties, body), time.monotonic())
        self._wake.set()

    async def _work(self, channel: Channel, inbox: Inbox, consumer_tag: str) -> None:
        cancelled = False
        while True:
            if self._stopping.is_set():
                if not cancelled:
                    await channel.basic_cancel(consumer_tag)
                    cancelled = True
                if self._failing_since is not None:
                    return  # what can't be handled now goes back
            now = time.monotonic()
            self._check_patience(inbox, now)
            work = inbox.take(now)
            if work:
                await self._attempt(channel, inbox, work)
            elif cancelled:
                await asyncio.gather(*self._burials)
                return
            else:
                await self._something_to_do(inbox, now)

    def _check_patience(self, inbox: Inbox, now: float) -> None:
        if inbox.oldest is not None and now - inbox.oldest > self._patience.hold:
            raise Lost(f"a message was held for more than {self._patience.hold:g} s")
        if self._failing_since is not None and now - self._failing_since > self._patience.pause_after:
            raise _Pause

    async def _something_to_do(self, inbox: Inbox, now: float) -> None:
        """Return at the next delivery, due retry, or when patience may have run out."""
        deadlines = [inbox.next_retry]
        if inbox.oldest is not None:
            deadlines.append(inbox.oldest + self._patience.hold)
        if self._failing_since is not None:
            deadlines.append(self._failing_since + self._patience.pause_after)
        due = min((each for each in deadlines if each is not None), default=None)
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0.0, due - now) + 0.001):
                await self._wake.wait()

    # -- one batch, or one message ------------------------------------------------------------------------------------

    async def _attempt(self, channel: Channel, inbox: Inbox, work: list[Delivery]) -> None:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._patience.handle):
                if len(work) == 1 and self._suspects is not None and inbox.is_suspect(work[0]):
                    await self._handle_suspect(self._suspects, work[0])
                else:
                    await self._handle(work)
        except Exception as error:
            await self._failed(channel, inbox, work, error)
            return
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something inside the handler was cancelled, not we: a failure like any other.
            await self._failed(channel, inbox, work, RuntimeError("cancelled from within"))
            return
        metrics.HANDLE_SECONDS.labels(self.queue).observe(time.perf_counter() - started)
        metrics.BATCH_SIZE.labels(self.queue).observe(len(work))
        await channel.ack(inbox.done(work))
        metrics.CONSUMED.labels(self.queue).inc(len(work))
        self._went_well(inbox, work)

    async def _handle_suspect(self, suspects: Suspects, delivery: Delivery) -> None:
        """Handle one that has come often, with a note that outlives us if it kills us."""
        try:
            notes = await suspects.note(delivery.message_id)
        except Exception as error:
            raise Transient(f"can't note a suspect: {_kind(error)}") from error  # not the message's fault
        deaths = notes - 1 - self._void_notes.get(delivery.message_id, 0)
        if deaths >= self._patience.suspect_notes:
            raise KillsConsumer(f"did not survive {deaths} attempts to handle it")
        try:
            await self._handle([delivery])
        finally:
            # However it ended, we are alive. A cancelled handler is included: its note must not count.
            self._void_notes[delivery.message_id] = notes
            await self._clear(suspects, delivery)

    async def _clear(self, suspects: Suspects, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(self._patience.probe):
                await suspects.clear(delivery.message_id)
        except Exception as error:
            log.warning("bus_note_not_cleared", queue=self.queue, message_id=delivery.message_id, error=_kind(error))
        else:
            self._void_notes.pop(delivery.message_id, None)

    def _went_well(self, inbox: Inbox, work: list[Delivery]) -> None:
        for delivery in work:
            self._failures.handled(delivery.message_id)
        if self._setbacks > 1:
            inbox.hasten()
        if self._failing_since is not None:
            self._failing_since, self._setbacks = None, 0
            self._setback.reset()
            self._set_health("consuming", healthy=True)
        self._pauses = 0

    async def _failed(self, channel: Channel, inbox: Inbox, work: list[Delivery], error: Exception) -> None:
        metrics.FAILURES.labels(self.queue, _kind_of_failure(error)).inc()
        log.warning("bus_handle_failed", queue=self.queue, messages=len(work), error=_kind(error))
        transient = isinstance(error, Transient)
        if len(work) > 1:
            inbox.separate(work)
            if transient:
                await self._set_back(error)
            return
        delivery = work[0]
        if isinstance(error, Permanent):
            reason = "kills_consumer" if isinstance(error, KillsConsumer) else "permanent"
            self._bury(channel, inbox, delivery, reason, error)
            return
        healthy = not transient and await self._dependencies_healthy()
        attempts, poison = self._failures.failed(delivery.message_id, transient=transient, healthy=healthy)
        if poison:
            self._bury(channel, inbox, delivery, "failed_repeatedly", error)
            return
        wait = wait_seconds(attempts - 1, self._patience.retry_first, self._patience.retry_cap)
        wait = max(wait, getattr(error, "retry_after_seconds", None) or 0.0)
        inbox.retry(delivery, time.monotonic() + wait)
        if not healthy:
            await self._set_back(error)

    async def _set_back(self, error: Exception) -> None:
        """Handle nothing for a moment: it would fail as well."""
        self._setbacks += 1
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        self._set_health(f"can't handle messages now: {_kind(error)}", healthy=False)
        await self._rest(self._setback.next())

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    # -- poison -------------------------------------------------------------------------------------------------------

    def _bury(self, channel: Channel, inbox: Inbox, delivery: Delivery, reason: str, error: Exception) -> None:
        """Move one to the dead queue, in a task: those behind it go on meanwhile."""
        burial = asyncio.create_task(self._bury_until_confirmed(channel, inbox, delivery, reason, error))
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)

    async def _bury_until_confirmed(
        self, channel: Channel, inbox: Inbox, delivery: Delivery, reason: str, error: Exception
    ) -> None:
        now = datetime.now(UTC)
        message = dead_message(delivery, self._dead_queue, self.queue, reason=reason, error=error, now=now)
        backoff = Backoff(self._patience.retry_first, self._patience.retry_cap)
        while True:
            try:
                async with asyncio.timeout(self._patience.handle):
                    await self._publisher.publish([message])
                break
            except (Transient, TimeoutError) as failure:
                log.warning("bus_burial_failed", queue=self.queue, message_id=delivery.message_id, error=_kind(failure))
                await asyncio.sleep(backoff.next())
        self._failures.forget(delivery.message_id)
        if reason == "kills_consumer" and self._suspects is not None:
            await self._clear(self._suspects, delivery)  # so that a replay begins with a clean sheet
        # The channel may have closed under us; then the message comes again and is buried again.
        with suppress(Exception):
            await channel.ack(inbox.done([delivery]))
        metrics.POISON.labels(self.queue, reason).inc()
        log.error(
            "bus_message_dead", queue=self.queue, message_id=delivery.message_id, reason=reason, error=_kind(error)
        )

    # -- dependencies -------------------------------------------------------------------------------------------------

    async def _pause(self) -> None:
        """The channel is closed, so the messages are with the broker again. Return when the probe answers."""
        self._pauses += 1
        self._set_health(f"paused; {self.reason}", healthy=False)
        metrics.PAUSED.labels(self.queue).set(1)
        log.error("bus_consumer_paused", queue=self.queue, reason=self.reason)
        try:
            # Each pause counts as a delivery of every message held: those that a lying probe ends must not be many.
            await self._rest(wait_seconds(self._pauses - 1, self._patience.resume_first, self._patience.idle_cap))
            backoff = Backoff(self._patience.resume_first, self._patience.resume_cap)
            while not self._stopping.is_set() and not await self._dependencies_healthy():
                await self._rest(backoff.next())
        finally:  # a connection lost meanwhile ends the pause as well
            metrics.PAUSED.labels(self.queue).set(0)
        log.info("bus_consumer_resumed", queue=self.queue)

    async def _dependencies_healthy(self) -> bool:
        if self._dependencies is None:
            return True
        try:
            async with asyncio.timeout(self._patience.probe):
                return await self._dependencies() is not False
        except Exception as error:
            log.warning("bus_dependency_unhealthy", queue=self.queue, error=_kind(error))
            return False

    def _set_health(self, reason: str, *, healthy: bool) -> None:
        self.reason = reason
        self._healthy = healthy


class KillsConsumer(Permanent):
    """The process did not survive earlier attempts to handle this message."""


async def _unused(_message: Any) -> None:
    """Deliveries reach `Channel.on_delivery` instead."""


async def _until_cancelled(channel: Channel) -> None:
    await channel.cancelled.wait()
    raise Lost("the consumer was cancelled by the broker")


def _delivery(frame: spec.Basic.Deliver, properties: spec.Basic.Properties, body: bytes) -> Delivery:
    headers = properties.headers or {}
    exchange, routing_key = original_address(frame.exchange or "", frame.routing_key or "", headers)
    return Delivery(
        body=body,
        message_id=properties.message_id or f"sha256:{hashlib.sha256(body).hexdigest()}",
        routing_key=routing_key,
        redelivered=bool(frame.redelivered),
        delivery_count=_count(headers),
        headers=headers,
        exchange=exchange,
        content_type=properties.content_type or "",
        tag=frame.delivery_tag or 0,
    )


def _count(headers: Mapping[str, Any]) -> int:
    """Return how often it was delivered before; brokers from 4.0 on say nothing the first time."""
    count = headers.get("x-delivery-count")
    return count if isinstance(count, int) else 0


def _kind(error: BaseException) -> str:
    """Return the error's class: its text may quote the message, which holds people's numbers."""
    return type(error).__name__


def _kind_of_failure(error: Exception) -> str:
    if isinstance(error, Permanent):
        return "permanent"
    return "transient" if isinstance(error, Transient) else "other"
