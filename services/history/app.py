"""Where history is put together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from aiohttp import web

from services.history import api, crm, openapi, partner_list, recordings, tickets
from services.history.consumer import Consumer
from services.history.reading import READER, Reader, reading_pool
from services.history.requests import api as requests
from services.history.requests import keeper, operators
from services.history.requests.store import REQUESTS, Requests
from services.history.settings import Settings
from services.history.writer import Writer
from shared.bus import Broker
from shared.bus.dead import DeadLetters
from shared.db import PostgresSuspects, opened_pool
from shared.db.database import Database
from shared.directory import DirectoryReader, Part
from shared.http import Readiness, cancel, create_app, run_in_background
from shared.http.admin import add_dead_letters, read_operator_token
from shared.http.auth import DIRECTORY
from shared.http.openapi import serve as serve_document
from shared.recordings import Links, Recordings

QUEUE = "history.calls"


def create(settings: Settings) -> web.Application:
    """Return the service: consuming and answering once it is started, whatever is away by then."""
    readiness = Readiness()
    app = create_app("history", settings, readiness=readiness)
    crm.add_routes(app, base_url=settings.base_url)
    api.add_routes(app)
    tickets.add_routes(app)
    partner_list.add_routes(app)
    requests.add_routes(app)
    store = Recordings.open(settings.recordings_url)
    recordings.add_routes(app, store, _links(settings))
    serve_document(app, openapi.document(settings.base_url))
    if settings.operator_token_file is not None:
        token = read_operator_token(settings.operator_token_file)
        add_dead_letters(app, token, DeadLetters(settings.amqp_url.get_secret_value(), "history"))
        operators.add_routes(app, token)

    async def parts(app: web.Application) -> AsyncIterator[None]:
        dsn = settings.postgres_dsn.get_secret_value()
        async with (
            opened_pool(dsn, application_name="callbus history") as writing,
            reading_pool(dsn, at_most_seconds=settings.history_read_seconds) as reading,
        ):
            database = Database(writing, "history")
            directory = DirectoryReader(
                dsn,
                [Part.TOKENS, Part.CHANNELS, Part.PEOPLE, Part.PARTNERS, Part.KEYS],
                application_name="callbus history directory",
            )
            app[READER], app[DIRECTORY] = Reader(reading, database), directory
            app[REQUESTS] = Requests(reading, database)
            app[keeper.KEEPER] = kept = keeper.Keeper(
                writing, days=settings.history_requests_days, repeats_days=settings.history_repeats_days
            )
            writer = Writer(writing)
            consumer = Consumer(writer, kept.note_repeats)
            broker = Broker(settings.amqp_url.get_secret_value(), name=f"history {os.getpid()}")
            broker.consume(
                QUEUE,
                consumer.handle,
                prefetch=settings.history_prefetch,
                batch_size=settings.history_batch,
                suspects=PostgresSuspects(writing, "history"),
                dependencies=database.probe,
            )
            broker.consume(
                keeper.QUEUE,
                kept.handle,
                suspects=PostgresSuspects(writing, "history"),
                dependencies=database.probe,
            )
            readiness.add("rabbitmq", broker.readiness)
            readiness.add("postgres", database.readiness)
            readiness.add("directory", lambda: (directory.ready, directory.reason))
            readiness.add("progress", consumer.progress)
            tasks = [
                run_in_background(app, "directory", directory.run()),
                run_in_background(app, "database", database.run()),
                run_in_background(app, "recordings", recordings.keep_swept(store)),
                run_in_background(app, "requests", _sweep(kept, database)),
                run_in_background(app, "broker", _consume(broker, database)),
            ]
            yield
            for task in reversed(tasks):  # the broker first: what is in hand still needs the database
                await cancel(task)
            await writer.close()

    app.cleanup_ctx.append(parts)
    return app


def _links(settings: Settings) -> Links | None:
    if settings.link_key_file is None:
        return None
    return Links.from_file(settings.link_key_file, settings.base_url)


async def _consume(broker: Broker, database: Database) -> None:
    await database.until_known()
    await broker.run()


async def _sweep(kept: keeper.Keeper, database: Database) -> None:
    await database.until_known()
    await kept.run()
