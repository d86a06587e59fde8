"""The partner API's list of calls: who may read it, which calls are in it, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared.events import Direction, Outcome
from shared.secrets import hash_token
from tests.integration.history.support import Api, until
from tests.support.histories import NOON, Story, Told

NORTH, SOUTH, THEIRS = 11, 12, 21
PATH = "/voip/integration/calls"
BOTH_PATHS = (PATH, f"/api/v1{PATH}")
BOTH = "Bearer partner, User user"
DAYS = "date_from=2026-03-02&date_to=2026-03-03"


@dataclass
class Partner:
    """A partner's client of one account."""

    api: Api

    async def ask(self, path: str, authorization: str | None = BOTH) -> tuple[int, Any]:
        """Return status and JSON."""
        headers = {} if authorization is None else {"Authorization": authorization}
        async with self.api.session.get(self.api.url + path, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def calls(self, query: str = "", salon: int = NORTH, days: str = DAYS) -> list[dict[str, Any]]:
        """Return the calls that a query finds."""
        status, body = await self.ask(f"{PATH}?salon_id={salon}&{days}&{query}")
        assert (status, body["success"], body["meta"]) == (200, True, {}), body
        found: list[dict[str, Any]] = body["data"]
        return found


async def insert(admin: asyncpg.Connection[Any]) -> None:
    """Two locations and a user's token for the first account, one of each for the second; partners for the first."""
    await admin.execute(
        "INSERT INTO directory.locations (location_id, account_id, name, time_zone)"
        " VALUES (11, 1, 'North', 'Europe/Warsaw'), (12, 1, 'South', 'America/New_York'), (21, 2, 'Away', 'UTC')"
        " ON CONFLICT DO NOTHING"
    )
    await admin.execute(
        "INSERT INTO directory.channels (channel_id, account_id, provider, name) VALUES (3, 1, 'partner', 'Three')"
        " ON CONFLICT DO NOTHING"
    )
    await admin.execute(
        "INSERT INTO directory.partners (partner_id, name) VALUES (1, 'All'), (2, 'None'), (3, 'One channel')"
        " ON CONFLICT DO NOTHING"
    )
    await admin.execute(
        "INSERT INTO directory.partner_entitlements (partner_id, account_id, channel_id) VALUES (1, 1, NULL), (3, 1, 3)"
        " ON CONFLICT DO NOTHING"
    )
    for partner, secret in ((1, "partner"), (2, "stranger"), (3, "one-channel")):
        await admin.execute(
            "INSERT INTO directory.partner_tokens (partner_id, token_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            partner,
            hash_token(secret),
        )
    for account, name, scopes in ((1, "user", ["calls:read"]), (2, "their-user", []), (1, "blind", ["calls:write"])):
        await admin.execute(
            "INSERT INTO directory.tokens (account_id, kind, name, token_hash, scopes)"
            " VALUES ($1, 'partner_user', $2, $3, $4) ON CONFLICT DO NOTHING",
            account,
            name,
            hash_token(name),
            scopes,
        )


@pytest.fixture
async def partner(api: Api, admin: asyncpg.Connection[Any]) -> Partner:
    """A partner that may read the first account's calls."""
    await insert(admin)
    partner = Partner(api)

    async def known() -> bool:
        return (await partner.ask(f"{PATH}?salon_id={SOUTH}&{DAYS}"))[0] == 200

    await until(known, "the directory knows the partner")
    return partner


def call(
    key: str,
    *locations: int,
    outcome: Outcome | None = Outcome.MISSED,
    direction: Direction = Direction.INCOMING,
    start: int = 0,
    channel: int = 1,
    account: int = 1,
    **said: Any,
) -> list[Told]:
    """A call that routing put into `locations`; its last event says `said` too."""
    story = Story(key, account=account, channel=channel, start=NOON + timedelta(seconds=start))
    story.direction = direction
    story.ring()
    story.route()
    routed = story.events[-1]
    story.events[-1] = routed.model_copy(
        update={"data": routed.data.model_copy(update={"locations": locations or (NORTH,)})}
    )
    if outcome is not None:
        story.end(outcome)
        last = story.events[-1]
        fields = {"duration_seconds": 5.0, "cause": None, **said}
        story.events[-1] = last.model_copy(update={"data": last.data.model_copy(update=fields)})
    return story.events


def phones(calls: list[list[Told]]) -> list[str]:
    """Return the customers' numbers."""
    return [_customer(events) for events in calls]


def _customer(events: list[Told]) -> str:
    data: Any = events[0].data
    party = data.to if data.direction is Direction.OUTGOING else data.from_
    return str(party.e164)


async def test_a_call_is_written_as_the_api_documents_it(partner: Partner) -> None:
    events = call("one", outcome=Outcome.ANSWERED, duration_seconds=73.4)
    await partner.api.store(events)
    crm = (await partner.api.get("/voip/calls.json"))[1][0]
    started = datetime.fromisoformat(crm["start_time"])
    assert await partner.calls() == [
        {
            "id": crm["id"],
            "client_id": 0,
            "caller_phone": _customer(events),
            "record_link": "",
            "duration": 73,
            "status": "success",
            "type": "incoming",
            "call_date": (started + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S+01:00"),
        }
    ]
    for path in BOTH_PATHS:
        for authorization in (BOTH, "bearer partner,user user", "Bearer partner ,  User user"):
            assert (await partner.ask(f"{path}?salon_id={NORTH}&{DAYS}", authorization))[0] == 200


async def test_a_known_client_and_the_providers_recording_are_shown(partner: Partner) -> None:
    events = call("one")
    story = Story("one", start=NOON + timedelta(minutes=5))
    story.note(client_id=7, recording={"url": "https://rec.example.net/one.mp3"})
    await partner.api.store([*events, *story.events])
    (item,) = await partner.calls()
    assert (item["client_id"], item["record_link"]) == (7, "https://rec.example.net/one.mp3")


async def test_only_ended_calls_of_the_location_are_in_the_list_newest_first(partner: Partner) -> None:
    both, north = call("both", NORTH, SOUTH), call("north", NORTH, start=60)
    await partner.api.store(
        both,
        north,
        call("rings", outcome=None, start=120),
        call("theirs", NORTH, account=2, channel=2, start=180),
        call("nowhere", 99, start=240),
    )
    assert [item["caller_phone"] for item in await partner.calls()] == phones([north, both])
    assert [item["caller_phone"] for item in await partner.calls(salon=SOUTH)] == phones([both])


@pytest.mark.parametrize(
    ("outcome", "cause", "status"),
    [
        (Outcome.ANSWERED, "success", "success"),
        (Outcome.ANSWERED, None, "success"),
        (Outcome.MISSED, "NOANSWER", "missed"),
        (Outcome.CANCELED, "cancel", "cancel"),
        (Outcome.BUSY, "BUSY", "busy"),
        (Outcome.FAILED, "notallowed", "notallowed"),
        (Outcome.FAILED, "NotFound", "notfound"),
        (Outcome.FAILED, "CONGESTION", "notavailable"),
        (Outcome.FAILED, None, "notavailable"),
        (Outcome.UNKNOWN, None, "notavailable"),
        (Outcome.ANSWERED, "notfound", "success"),
    ],
)
async def test_every_outcome_has_one_of_the_seven_words_and_the_partners_own_is_kept(
    partner: Partner, outcome: Outcome, cause: str | None, status: str
) -> None:
    await partner.api.store(call("one", outcome=outcome, cause=cause))
    assert [item["status"] for item in await partner.calls()] == [status]
    assert len(await partner.calls(f"statuses[]={status}")) == 1
    other = "busy" if status != "busy" else "missed"
    assert await partner.calls(f"statuses[]={other}") == []


async def test_every_filter_finds_its_calls_and_only_those(partner: Partner) -> None:
    incoming = call("in", outcome=Outcome.ANSWERED)
    outgoing = call("out", direction=Direction.OUTGOING, start=60)
    internal = call("int", direction=Direction.INTERNAL, outcome=Outcome.BUSY, start=120)
    await partner.api.store(incoming, outgoing, internal)
    number, called = _customer(incoming), _customer(outgoing)
    company: Any = incoming[0].data
    for query, expected in {
        "": [internal, outgoing, incoming],
        "types[]=incoming": [incoming],
        "types[]=incoming&types[]=outgoing": [outgoing, incoming],
        "types=internal&types[0]=OUTGOING": [internal, outgoing],
        "statuses[]=success&statuses[]=busy": [internal, incoming],
        "statuses=notfound": [],
        f"phone=%2B{number[1:]}": [incoming],
        f"phone={number}": [incoming],
        f"phone={number.removeprefix('+48')}": [incoming],
        f"phone=%2B{called[1:]}": [outgoing],
        f"phone={company.to.raw}": [],
        "types[]=outgoing&statuses[]=busy": [],
    }.items():
        assert [item["caller_phone"] for item in await partner.calls(query)] == phones(expected), query


async def test_pages_are_of_25_unless_asked_and_the_last_is_followed_by_an_empty_one(partner: Partner) -> None:
    await partner.api.store(*(call(f"k{n}", start=60 * n) for n in range(27)))
    every = [item["id"] for item in await partner.calls("limit=1000")]
    assert len(set(every)) == 27
    assert [item["id"] for item in await partner.calls()] == every[:25]
    assert [item["id"] for item in await partner.calls("page=2")] == every[25:]
    assert [item["id"] for item in await partner.calls("page=2&limit=4")] == every[4:8]
    assert await partner.calls("page=3") == []


async def test_days_are_the_locations_own_and_both_count_whole(partner: Partner) -> None:
    # 23:30 UTC on 2 March is the 3rd in Warsaw and still the 2nd in New York.
    await partner.api.store(call("late", NORTH, SOUTH, start=11 * 3600 + 1800))
    for salon, day, offset in ((NORTH, "03", "+01:00"), (SOUTH, "02", "-05:00")):
        (item,) = await partner.calls(salon=salon, days=f"date_from=2026-03-{day}&date_to=2026-03-{day}")
        assert item["call_date"].endswith(offset)
        assert item["call_date"].startswith(f"2026-03-{day}T")
    assert await partner.calls(salon=NORTH, days="date_from=2026-03-02&date_to=2026-03-02") == []
    assert await partner.calls(salon=SOUTH, days="date_from=2026-03-03&date_to=2026-03-03") == []


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer partner",
        "User user",
        "Bearer wrong, User user",
        "Bearer partner, User wrong",
        "Bearer user, User partner",
        "Bearer partner, User ours",  # an API token is no user's half
        "Bearer ours",
        "Basic partner, User user",
        "Bearer ą, User user",
        "Bearer partner, User " + "x" * 600,
    ],
)
async def test_without_both_valid_tokens_it_is_401_in_the_partners_envelope(
    partner: Partner, authorization: str | None
) -> None:
    for path in BOTH_PATHS:
        assert await partner.ask(f"{path}?salon_id={NORTH}&{DAYS}", authorization) == (
            401,
            {"success": False, "data": None, "meta": {"message": "Authentication needed."}},
        )


@pytest.mark.parametrize("authorization", ["Bearer stranger, User user", "Bearer partner, User their-user"])
async def test_a_partner_without_this_account_is_403(partner: Partner, authorization: str) -> None:
    assert await partner.ask(f"{PATH}?salon_id={NORTH}&{DAYS}", authorization) == (
        403,
        {"success": False, "data": None, "meta": {"message": "Access denied."}},
    )


async def test_a_users_token_that_may_not_read_calls_is_403(partner: Partner) -> None:
    status, body = await partner.ask(f"{PATH}?salon_id={NORTH}&{DAYS}", "Bearer partner, User blind")
    assert (status, body["success"]) == (403, False)


@pytest.mark.parametrize("salon", [THEIRS, 99, 2**62])
async def test_another_accounts_location_is_403_like_an_unknown_one(partner: Partner, salon: int) -> None:
    assert await partner.ask(f"{PATH}?salon_id={salon}&{DAYS}") == (
        403,
        {"success": False, "data": None, "meta": {"message": "Access denied."}},
    )


async def test_a_partner_entitled_to_one_channel_sees_the_calls_of_that_channel_alone(partner: Partner) -> None:
    mine = call("mine", channel=3)
    await partner.api.store(call("other", start=60), mine)
    status, body = await partner.ask(f"{PATH}?salon_id={NORTH}&{DAYS}", "Bearer one-channel, User user")
    assert (status, [item["caller_phone"] for item in body["data"]]) == (200, phones([mine]))


async def test_every_missing_or_wrong_parameter_is_named_in_the_partners_envelope(partner: Partner) -> None:
    status, body = await partner.ask(PATH)
    assert (status, body["success"], body["data"]) == (422, False, None)
    assert body["meta"]["errors"] == {name: ["is required"] for name in ("salon_id", "date_from", "date_to")}
    wrong = "salon_id=x&date_from=yesterday&date_to=2026-13-01&types[]=odd&statuses=gone&page=0&limit=-1&phone=%00"
    status, body = await partner.ask(f"{PATH}?{wrong}")
    assert (status, sorted(body["meta"]["errors"])) == (
        422,
        ["date_from", "date_to", "limit", "page", "phone", "salon_id", "statuses", "types"],
    )


async def test_an_id_is_the_crms_and_never_a_uid(partner: Partner) -> None:
    events = call("one")
    await partner.api.store(events)
    (item,) = await partner.calls()
    status, found, _ = await partner.api.get(f"/voip/calls/{item['id']}.json")
    assert (status, UUID(found["uid"])) == (200, events[0].subject)
