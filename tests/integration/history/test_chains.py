"""The calls of a chain and of a location: the same list, narrowed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from shared.call import Call
from shared.events import Outcome
from tests.integration.history.support import Api, until
from tests.support.histories import NOON, Story, Told

OURS, OTHER, THEIRS = 11, 12, 21


@pytest.fixture
async def places(api: Api, admin: asyncpg.Connection[Any]) -> Api:
    """Two locations of the first account and one of the second."""
    await admin.execute(
        "INSERT INTO directory.locations (location_id, account_id, name, time_zone)"
        " VALUES (11, 1, 'North', 'Europe/Warsaw'), (12, 1, 'South', 'UTC'), (21, 2, 'Away', 'UTC')"
        " ON CONFLICT DO NOTHING"
    )

    async def known() -> bool:
        return (await api.get(f"/api/v1/locations/{OTHER}/calls"))[0] == 200

    await until(known, "the directory knows the locations")
    return api


def call(key: str, *locations: int, start: int = 0, account: int = 1) -> list[Told]:
    """An ended call that routing put into `locations`."""
    story = Story(key, account=account, channel=account, start=NOON + timedelta(seconds=start))
    story.ring()
    story.route()
    routed = story.events[-1]
    data = routed.data.model_copy(update={"locations": locations})
    story.events[-1] = routed.model_copy(update={"data": data})
    story.end(Outcome.MISSED)
    return story.events


async def keys(api: Api, path: str, token: str = "ours") -> list[str]:
    """Return the provider's ids of the calls in a list."""
    status, body, _ = await api.get(path, token=token)
    assert status == 200, body
    return [item["call_key"] for item in body["items"]]


async def test_a_location_has_the_calls_that_routing_put_there_and_the_chain_has_all(places: Api) -> None:
    await places.store(
        call("both", OURS, OTHER),
        call("north", OURS, start=100),
        call("nowhere", start=200),
        call("theirs", OURS, start=300, account=2),
    )
    assert await keys(places, f"/api/v1/locations/{OURS}/calls") == ["north", "both"]
    assert await keys(places, f"/api/v1/locations/{OTHER}/calls") == ["both"]
    assert await keys(places, "/api/v1/chains/1/calls") == ["nowhere", "north", "both"]
    assert await keys(places, f"/api/v1/calls?location_id={OTHER}") == ["both"]
    assert await keys(places, f"/api/v1/locations/{THEIRS}/calls", token="theirs") == []


async def test_the_items_and_filters_are_those_of_the_calls_list(places: Api) -> None:
    events = call("north", OURS)
    await places.store(events)
    listed = (await places.get("/api/v1/calls"))[1]
    assert listed["items"][0]["locations"] == [OURS]
    for path in (f"/api/v1/locations/{OURS}/calls", "/api/v1/chains/1/calls"):
        assert (await places.get(path))[1] == listed
        assert await keys(places, f"{path}?outcome=busy") == []
        assert await keys(places, f"{path}?outcome=missed&direction={Call.of(events).direction}") == ["north"]
        status, body, _ = await places.get(f"{path}?limit=x&state=y")
        assert (status, sorted(error["field"] for error in body["errors"])) == (422, ["limit", "state"])


async def test_both_lists_go_on_from_their_cursor(places: Api) -> None:
    await places.store(*(call(f"k{n}", OURS, start=100 * n) for n in range(5)), call("x", OTHER, start=150))
    for path, expected in (
        (f"/api/v1/locations/{OURS}/calls", ["k4", "k3", "k2", "k1", "k0"]),
        ("/api/v1/chains/1/calls", ["k4", "k3", "k2", "x", "k1", "k0"]),
    ):
        assert [item["call_key"] for item in await places.every(path, limit=2)] == expected


@pytest.mark.parametrize(
    ("path", "unknown"),
    [
        ("/api/v1/chains/2/calls", "/api/v1/chains/99/calls"),
        (f"/api/v1/locations/{THEIRS}/calls", "/api/v1/locations/99/calls"),
    ],
)
async def test_another_accounts_chain_or_location_is_as_unknown_as_none(places: Api, path: str, unknown: str) -> None:
    theirs, none = await places.get(path), await places.get(unknown)
    for body in (theirs[1], none[1]):
        body.pop("request_id")
    assert theirs[:2] == none[:2]
    assert theirs[0] == 404


@pytest.mark.parametrize("kind", ["chains", "locations"])
async def test_what_can_be_no_id_is_unknown_and_a_token_is_needed(places: Api, kind: str) -> None:
    for id_ in ("x", "0", "9" * 19, "9" * 20, "-1"):
        assert (await places.get(f"/api/v1/{kind}/{id_}/calls"))[0] == 404
    assert (await places.get(f"/api/v1/{kind}/1/calls", token=None))[0] == 401
    assert (await places.get(f"/api/v1/{kind}/1/calls", token="writer"))[0] == 403
