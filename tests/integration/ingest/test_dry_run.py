"""`?dry_run=1` says who would see the call, and why everyone else would not."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import aiohttp
import pytest

from services.routing.store import NewChannel
from tests.integration.ingest.support import KEY, Ids, take
from tests.support.directory import writing

HOOK = f"/hooks/supervoip/{KEY}"
CALL = {"status": "callstart", "direction": "in", "numberA": "220000101", "numberB": "220000900", "callid": "a1"}


class World(NamedTuple):
    """Ids of what was written; Jan has no access to telephony."""

    anna: int
    piotr: int
    jan: int
    salon: int
    closed: int
    generic_key: str


@pytest.fixture
async def world(database_dsn: str, ids: Ids) -> World:
    async with writing(database_dsn) as store:
        salon = await store.create_location(ids.account, "Salon", "Europe/Warsaw")
        spa = await store.create_location(ids.account, "Spa", "Europe/Warsaw", hours={"mon": []})
        anna = await store.create_user(ids.account, "Anna Nowak")
        piotr = await store.create_user(ids.account, "Piotr Zieliński")
        jan = await store.create_user(ids.account, "Jan Kowalski", telephony=False)
        await store.create_user(await store.create_account("Other"), "Olga Other")
        await store.create_route(ids.account, "user", "101", user_ids=[anna], location_ids=[salon])
        await store.create_route(ids.account, "diversion", "+48220000900", user_ids=[anna, piotr])
        await store.create_route(ids.account, "diversion", "22 000 09 01", user_ids=[piotr], location_ids=[spa])
        await store.create_extension(ids.account, "0001*102", short="102", user_id=piotr)
        generic = await store.create_channel(
            NewChannel(
                account_id=ids.account,
                provider="generic",
                name="Generic",
                mapping={
                    "fields": {"event": "event", "call": "call", "leg": "leg"},
                    "words": {"event": {"ringing": "ringing", "noted": "noted", "ping": "ignored"}},
                },
            )
        )
    return World(anna, piotr, jan, salon, spa, generic.secret)


@pytest.fixture
async def session(world: World, client: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Ingest's client, ingest having started with the whole world."""
    return client


async def dry(client: aiohttp.ClientSession, path: str = HOOK, **said: str) -> dict[str, Any]:
    async with client.post(f"{path}?dry_run=1", data=said) as answer:
        assert answer.status == 200
        body: dict[str, Any] = await answer.json()
        return body


async def test_who_would_see_a_call_to_the_companys_number(session: aiohttp.ClientSession, world: World) -> None:
    body = await dry(session, **CALL)

    assert [event["type"] for event in body["events"]] == ["call.ringing.v1"]
    assert body["routing"] == {
        "audience": [world.anna, world.piotr],
        "assignee": None,
        "locations": [],
        "rule": "diversion",
        "rank": 3,
        "sentence": "There is a route for number +48220000900: shown to Anna Nowak and Piotr Zieliński.",
        "others": [{"user_id": world.jan, "why_not": "no access to telephony"}],
    }


async def test_who_would_see_a_leg(session: aiohttp.ClientSession, world: World) -> None:
    routed = (await dry(session, **CALL, sipnumber="101"))["routing"]
    known = (await dry(session, **CALL, sipnumber="102"))["routing"]

    assert (routed["rule"], routed["audience"], routed["assignee"], routed["locations"]) == (
        "user",
        [world.anna],
        world.anna,
        [world.salon],
    )
    assert routed["sentence"] == "There is a route for user 101: shown to Anna Nowak."
    assert known["sentence"] == "102 is extension 0001*102: shown to Piotr Zieliński."
    assert known["others"] == [
        {"user_id": world.anna, "why_not": "does not use extension 0001*102"},
        {"user_id": world.jan, "why_not": "no access to telephony"},
    ]


async def test_nobody_of_another_account_is_ever_mentioned(session: aiohttp.ClientSession, world: World) -> None:
    body = await dry(session, **{**CALL, "numberB": "220000999"})

    assert (body["routing"]["rule"], body["routing"]["audience"]) == ("everyone", [world.anna, world.piotr])
    assert [other["user_id"] for other in body["routing"]["others"]] == [world.jan]
    assert "Olga" not in json.dumps(body)


async def test_a_note_is_decided_on_and_no_event_is_null(session: aiohttp.ClientSession, world: World) -> None:
    hook = f"/hooks/generic/{world.generic_key}"
    noted = await dry(session, hook, event="noted", call="c1", leg="102")
    ignored = await dry(session, hook, event="ping", call="c1")

    assert ([event["type"] for event in noted["events"]], noted["routing"]["audience"]) == (
        ["call.noted.v1"],
        [world.piotr],
    )
    assert (ignored["events"], ignored["routing"]) == ([], None)


async def test_a_place_that_is_closed_is_named(session: aiohttp.ClientSession, world: World) -> None:
    routing = (await dry(session, **{**CALL, "numberB": "220000901"}))["routing"]

    assert (routing["rank"], routing["audience"], routing["locations"]) == (3, [], [world.closed])
    assert routing["sentence"] == (
        "There is a route for number 22 000 09 01, but Spa is closed: shown to nobody, as no fallback is configured."
    )
    assert routing["others"][1] == {"user_id": world.piotr, "why_not": "Spa is closed"}


async def test_a_dry_run_publishes_nothing(session: aiohttp.ClientSession, amqp_url: str) -> None:
    await dry(session, **CALL)

    assert await take(amqp_url, "history.calls") == []


@pytest.mark.parametrize("name", ["DRY_RUN", "%20Dry_Run"])
async def test_it_is_asked_for_in_any_letters_as_every_field_is(
    session: aiohttp.ClientSession, amqp_url: str, name: str
) -> None:
    async with session.post(f"{HOOK}?{name}=1", data=CALL) as answer:
        assert "routing" in await answer.json()
    assert await take(amqp_url, "history.calls") == []
