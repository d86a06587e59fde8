"""The whole system, started once for all end-to-end tests, with two replicas of each service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator

import aiohttp
import pytest

from callbus.local.surroundings import DATABASE
from callbus.local.system import System
from tests.e2e.reckoning import Tell
from tests.support.load import Provider
from tests.support.nodes import temporary_directory

LOG_CHARACTERS = 4000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of all programs' logs with a failure: their directory is gone a moment later."""
    report = yield
    system = getattr(item, "funcargs", {}).get("system")
    if report.failed and isinstance(system, System):
        for file in sorted((system.directory / "log").glob("*.log")):
            report.sections.append((file.name, file.read_text(errors="replace")[-LOG_CHARACTERS:]))
    return report


@pytest.fixture(scope="package")
def started() -> Iterator[System]:
    """Edge, two processes of each service, RabbitMQ, PostgreSQL and the demo account."""
    with temporary_directory() as directory:
        system = System(directory, replicas={"history": 2, "ingest": 2})
        try:
            system.start()
            _take_all_there_is(system)
            yield system
        finally:
            system.stop()


@pytest.fixture
def system(started: System) -> System:
    """The system with every program ready, whatever the test before did to it."""
    for state in started.states():
        started.wait_ready(state.name)
    return started


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that gives up on an answer after some seconds, as a provider does."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as client:
        yield client


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Says what came of a test at the end of the run."""
    return lambda text: record_property("told", text)


@pytest.fixture
def provider(system: System, session: aiohttp.ClientSession) -> Provider:
    """SuperVoIP, which posts to the demo account's channel at the edge."""
    return Provider(session, system.demo["channels"]["supervoip"]["url"])


def _take_all_there_is(system: System) -> None:
    """A channel's rate limit must not be what the tests under load measure."""
    assert system.postgres is not None
    system.postgres.execute("UPDATE directory.channels SET rate_per_second = 10000, rate_burst = 10000", DATABASE)
