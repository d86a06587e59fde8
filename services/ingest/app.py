"""Joins ingest together: the only place where real things are built."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import structlog
from aiohttp import web

from services.ingest import channel_key, hooks, openapi, operators, partner, reapply
from services.ingest.door import PARTS, Parts
from services.ingest.durable import Durable
from services.ingest.intake import Intake
from services.ingest.journal import Journal
from services.ingest.limits import TokenBuckets
from services.ingest.rejected import Rejected
from services.ingest.settings import Settings
from services.ingest.stray import keep_strays
from services.ingest.transactions import TRANSACTIONS, Transactions
from shared.bus import Broker
from shared.db import migrations, opened_pool
from shared.directory import DirectoryReader, Part
from shared.http import Readiness, cancel, create_app, run_in_background
from shared.http.admin import read_operator_token
from shared.http.auth import DIRECTORY
from shared.http.openapi import serve as serve_document

NAME: Final = "ingest"

_SCHEMA_CHECK_SECONDS: Final = 5.0
_STATEMENT_SECONDS: Final = 5.0  # a provider waits for the answer
# The last four: cut off, full, shutting down or starting, in the middle of an answer.
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
)

log = structlog.get_logger(__name__)


def build(settings: Settings) -> web.Application:
    """Return the whole service. Nothing is connected before it is served."""
    readiness = Readiness()
    app = create_app(NAME, settings, readiness=readiness)
    broker = Broker(settings.amqp_url.get_secret_value(), name=NAME)
    directory = DirectoryReader(
        settings.postgres_dsn.get_secret_value(),
        [Part.CHANNELS, Part.KEYS, Part.PARTNERS, Part.PEOPLE, Part.ROUTES],
        application_name=NAME,
        cache_file=settings.data_dir / "ingest-directory.json",
    )
    readiness.add("rabbitmq", broker.readiness)
    readiness.add("directory", lambda: (directory.ready, directory.reason))
    publisher = broker.publisher()
    app[DIRECTORY] = directory
    journal = Journal(settings.journal_dir / "events", publisher, limit_bytes=settings.journal_limit_bytes)
    durable = Durable(publisher, journal, settings.confirm_seconds)
    reports = partner.journal_of_reports(app, settings, publisher)
    readiness.add("journal", journal.readiness)
    app[PARTS] = Parts(settings, Intake(durable), Rejected(publisher, settings), TokenBuckets())

    async def background(app: web.Application) -> AsyncIterator[None]:
        await _refuse_unknown_schema(settings)
        dsn = settings.postgres_dsn.get_secret_value()
        # Only for APIs that need it; where it is away, webhooks are taken all the same, so it is no part of readiness.
        async with opened_pool(dsn, application_name=NAME, command_timeout_seconds=_STATEMENT_SECONDS) as pool:
            app[TRANSACTIONS] = Transactions(pool)
            tasks = [
                run_in_background(app, "broker", broker.run()),
                run_in_background(app, "directory", directory.run()),
                run_in_background(app, "journal", journal.run()),
                partner.start(app),
                run_in_background(app, "journal of reports", reports.run()),
            ]
            yield
            for task in reversed(tasks):
                await cancel(task)

    app.cleanup_ctx.append(background)
    app.middlewares.append(keep_strays)
    hooks.add_routes(app)
    channel_key.add_to(app, settings, publisher)
    partner.add_routes(app)
    serve_document(app, openapi.document(settings.base_url))
    if settings.operator_token_file is not None:
        token = read_operator_token(settings.operator_token_file)
        reapply.add_routes(app, token)
        operators.add_routes(app, token, (journal, reports))
    return app


async def _refuse_unknown_schema(settings: Settings) -> None:
    """Raise `UnknownSchema` where the database's version isn't ours. While it is away or full we start all the same."""
    try:
        async with asyncio.timeout(_SCHEMA_CHECK_SECONDS):
            connection = await asyncpg.connect(settings.postgres_dsn.get_secret_value())
            try:
                await migrations.check(connection, NAME)
            finally:
                connection.terminate()
    except _AWAY as error:
        log.warning("schema_unchecked", reason=type(error).__name__)
